"""Compression of a large classifier into a small regressor of its probabilities, as one scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.tree import BaseDecisionTree
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.weights import check_weights
from ganmc_lightning.tabular.profiling import BATCH, CompressionProfile, profile_model
from ganmc_lightning.tabular.sampling import (
    SupportsSample,
    check_finite,
    check_float32,
    check_varying,
    column_name,
    extend_weights,
    sample_rows,
)
from ganmc_lightning.tabular.student import ArgmaxClassifier, StudentClassifier, to_probabilities, to_targets
from ganmc_lightning.tabular.teacher import fit_teacher, is_fitted, set_random_states, weight_argument

TrainingData = Literal["real", "synthetic", "both"]
TRAINING_DATA = ("real", "synthetic", "both")
FLOATS = [np.float64, np.float32]
TREES = (BaseDecisionTree, BaseForest, BaseGradientBoosting)
"""Students that compare in float32."""


class ForestCompressor(ArgmaxClassifier):
    """Compress a classifier into a regressor of its class probabilities (GAN-MC section 4).

    The teacher predicts the probabilities of real samples, synthetic samples or both, and the student is fitted to
    them: to P(y = 1) for two classes, to one output per class for more. Class weights are parameters of the teacher,
    for example ``RandomForestClassifier(class_weight="balanced")``; the student inherits their effect.

    X must contain finite numbers: encode categories and impute missing values first.

    Args:
        teacher: Classifier with ``predict_proba``. A fitted one is used unchanged, an unfitted one is cloned and
            fitted. Default: None, the ``RandomForestClassifier`` of 500 trees of GAN-MC.
        student: Unfitted regressor; for more than two classes with multiple outputs or wrapped in
            ``MultiOutputRegressor``. Default: None, the ``RandomForestRegressor`` of one tree of GAN-MC.
        synthesizer: Source of synthetic samples: one of :mod:`ganmc_lightning.synthesizers`, which is copied and
            fitted to the z-scores of X; a trained GAN, see :func:`~ganmc_lightning.tabular.load_synthesizer`; or any
            fitted object with ``sample(n)`` in the units of X. Default: None, only for ``training_data="real"``.
        synthetic_ratio: Synthetic samples per real sample, positive. Default: 9, as in GAN-MC.
        training_data: Training samples of the student: ``"real"``, ``"synthetic"`` or ``"both"`` (default).
        random_state: Seed of the synthetic samples, and of teacher and student where their ``random_state`` is None.
            Default: None.

    Attributes:
        classes_: Class labels (K,), in the order of the probabilities.
        teacher_: Fitted teacher.
        student_: Fitted student, a regressor.
        classifier_: Student as a :class:`~ganmc_lightning.tabular.StudentClassifier` without the teacher, to store
            and export.
        profile_: Size and speed of teacher and student, a :class:`~ganmc_lightning.tabular.CompressionProfile`.
        n_features_in_: Number of features D.
        feature_names_in_: Names of the features (D,), where X was a data frame.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> from ganmc_lightning.synthesizers import JitterSynthesizer
        >>> X, y = load_iris(return_X_y=True)
        >>> teacher = RandomForestClassifier(20, random_state=0)
        >>> compressor = ForestCompressor(teacher, synthesizer=JitterSynthesizer(0.1), random_state=0).fit(X, y)
        >>> compressor.predict(X[:1]), compressor.profile_.student.trees, round(compressor.score(X, y), 1)
        (array([0]), 1, 1.0)
    """

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        synthesizer: SupportsSample | None = None,
        synthetic_ratio: float = 9,
        training_data: TrainingData = "both",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.synthesizer = synthesizer
        self.synthetic_ratio = synthetic_ratio
        self.training_data = training_data
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the teacher unless it is fitted, draw synthetic samples and fit the student.

        Args:
            X: Samples (N, D), finite.
            y: Class labels (N,).
            sample_weight: Weights (N,), at least 0, for an unfitted teacher and for the student. A synthetic sample
                has the mean weight of the real ones. Default: None, equal weights.

        Returns:
            The fitted estimator.

        Raises:
            ConfigurationError: an argument or a column of X is invalid.
        """
        synthesizer = self._validate_parameters()
        samples, labels = self._validate_samples(X, y)
        weights = self._validate_weights(sample_weight, labels)
        student = RandomForestRegressor(n_estimators=1) if self.student is None else clone(self.student)
        names = getattr(self, "feature_names_in_", None)  # scikit-learn sets it for data frames only
        teacher_seed, student_seed, sample_seed = check_random_state(self.random_state).randint(2**31 - 1, size=3)
        teacher = fit_teacher(self.teacher, samples, labels, teacher_seed, names, weights)
        if isinstance(student, TREES):
            check_float32(samples, names)
        train = samples
        if synthesizer is not None:
            check_varying(samples, names)
            n = round(self.synthetic_ratio * len(samples))
            codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
            train = sample_rows(synthesizer, samples.astype(np.float64), codes, n, int(sample_seed), names)
            weights = extend_weights(weights, n) if self.training_data == "both" else None
            train = np.concatenate([samples, train]) if self.training_data == "both" else train
        targets = to_targets(teacher.predict_proba(train))
        if targets.ndim == 2 and not get_tags(student).target_tags.multi_output:
            raise ConfigurationError(
                f"student: {type(student).__name__} has one output, expected {targets.shape[1]}, one per class; wrap "
                "it in sklearn.multioutput.MultiOutputRegressor"
            )
        set_random_states(student, student_seed).fit(train, targets, **weight_argument(student, weights, "student"))
        self.student_ = student
        self.teacher_, self.classes_ = teacher.model, teacher.classes
        self.classifier_ = StudentClassifier(student, self.classes_, names)
        batch = samples[:BATCH]
        teacher_profile = profile_model(self.teacher_, self.teacher_.predict_proba, teacher.to_fit_format(batch))
        student_profile = profile_model(self.classifier_, student.predict, batch)
        self.profile_ = CompressionProfile(teacher_profile, student_profile, len(batch))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of samples (N, D) with the student."""
        check_is_fitted(self)
        return to_probabilities(self.student_.predict(validate_data(self, X, dtype=FLOATS, reset=False)))

    def _validate_parameters(self) -> SupportsSample | None:
        """Return the synthesizer to sample from; None for real samples only."""
        if self.training_data not in TRAINING_DATA:
            raise ConfigurationError(
                f"training_data: got {self.training_data!r}, expected one of {', '.join(TRAINING_DATA)}"
            )
        if self.training_data == "real":
            return None
        if self.synthesizer is None:
            raise ConfigurationError(f"synthesizer: got None, required for training_data={self.training_data!r}")
        if not self.synthetic_ratio > 0:
            raise ConfigurationError(f"synthetic_ratio: got {self.synthetic_ratio}, expected a positive number")
        return self.synthesizer

    def _validate_weights(self, sample_weight: ArrayLike | None, y: NDArray[Any]) -> NDArray[np.float64] | None:
        if sample_weight is None:
            return None
        if self.training_data == "synthetic" and self.teacher is not None and is_fitted(self.teacher):
            raise ConfigurationError(
                "sample_weight has no effect with a fitted teacher and training_data='synthetic'; remove it, or set "
                "training_data='both'"
            )
        return check_weights(np.asarray(sample_weight), y, "sample_weight")

    def _validate_samples(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return samples and labels as arrays; raise an error that names the invalid column or class."""
        try:
            samples, labels = validate_data(self, X, y, dtype=FLOATS, ensure_all_finite=False)
        except ValueError as error:
            _raise_for_strings(X, getattr(self, "feature_names_in_", None), error)
            raise
        check_finite(samples, getattr(self, "feature_names_in_", None), "X")
        check_classification_targets(labels)
        classes = np.unique(labels)
        if len(classes) == 1:
            raise ConfigurationError(f"y: got one class, {classes.tolist()[0]!r}, expected two or more")
        return samples, labels


def _raise_for_strings(X: Any, feature_names: Any, error: ValueError) -> None:
    """Raise an error that names the column, where a column contains strings."""
    table = np.asarray(X, dtype=object)
    if "string" not in str(error) or table.ndim != 2:
        return
    for column in range(table.shape[1]):
        strings = [value for value in table[:, column] if isinstance(value, str)]
        if strings:
            raise ConfigurationError(
                f"X: {column_name(feature_names, column)} contains strings ({strings[0]!r}), expected numbers; encode "
                "or drop it (sklearn.preprocessing.OneHotEncoder)"
            ) from error
