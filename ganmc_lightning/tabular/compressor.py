"""A large classifier into a small regressor of its probabilities, as one scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.tree import BaseDecisionTree
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.weights import check_weights
from ganmc_lightning.tabular.profiling import BATCH, Compression, profile_model
from ganmc_lightning.tabular.sampling import (
    SupportsSample,
    check_finite,
    check_float32,
    check_varying,
    column_name,
    pooled_weights,
    sample_rows,
)
from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities, to_targets
from ganmc_lightning.tabular.teacher import fit_teacher, is_fitted, seeded, weights_for

Scenario = Literal["real", "synthetic", "pooled"]
SCENARIOS = ("real", "synthetic", "pooled")
FLOATS = [np.float64, np.float32]
TREES = (BaseDecisionTree, BaseForest, BaseGradientBoosting)
"""Students that compare in float32."""


class ForestCompressor(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Compresses a classifier into a student that regresses its probabilities (GAN-MC, section 4).

    The teacher labels real rows, synthetic rows or both with its probabilities, and the student learns these: P(y = 1)
    of two classes as in the paper, one output a class for more. Weights of classes are the teacher's: the student
    learns what it answers, so that ``RandomForestClassifier(class_weight="balanced")`` becomes a student with the same
    view of the classes.

    X holds finite numbers; categories are to be encoded beforehand, missing values to be filled in.

    Args:
        teacher: classifier with ``predict_proba``. A fitted one is used as it is, an unfitted one is copied and fitted
            on X and y. Left out: the paper's ``RandomForestClassifier`` of 500 trees.
        student: unfitted regressor; with more than two classes one that has many outputs, or
            ``MultiOutputRegressor`` around it. Left out: the paper's ``RandomForestRegressor`` of one tree.
        synthesizer: where synthetic rows come from: one of :mod:`ganmc_lightning.synthesizers`, which is copied and
            fitted to the z-scores of X; a GAN that ``ganmc fit`` trained, with the scaler it was trained with, by
            :func:`~ganmc_lightning.tabular.load_synthesizer`; or any fitted object whose ``sample(n)``
            returns rows in the units of X. Needed unless ``scenario`` is ``"real"``.
        synthetic_ratio: synthetic rows for each real row; 9 in the paper.
        scenario: what the student learns from: ``"real"`` rows, ``"synthetic"`` rows, or both, ``"pooled"``.
        random_state: seeds the synthetic rows, and teacher and student where they have no ``random_state`` of their
            own.

    Attributes:
        classes_: the classes, in the order of the probabilities.
        teacher_: the fitted teacher.
        student_: the fitted student, a regressor.
        classifier_: the student as a classifier, a :class:`~ganmc_lightning.tabular.StudentClassifier`: what to
            store, export and ship, for it holds nothing of the teacher.
        profile_: its cost against the teacher's, a :class:`~ganmc_lightning.tabular.Compression`.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> teacher = RandomForestClassifier(20, random_state=0)
        >>> compressor = ForestCompressor(teacher, scenario="real", random_state=0).fit(X, y)
        >>> compressor.predict(X[:1]), compressor.profile_.student.trees
        (array([0]), 1)
    """

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        synthesizer: SupportsSample | None = None,
        synthetic_ratio: float = 9,
        scenario: Scenario = "pooled",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.synthesizer = synthesizer
        self.synthetic_ratio = synthetic_ratio
        self.scenario = scenario
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the teacher unless it is fitted, draw synthetic rows, fit the student.

        Args:
            X: rows (N, D), finite numbers.
            y: their classes (N,).
            sample_weight: weights of the rows (N,), of at least 0, for the teacher, unless it is fitted, and for the
                student; a synthetic row weighs as much as the mean real one.

        Raises:
            ConfigurationError: an argument or a column of X cannot be used; the message names it.
        """
        synthesizer = self._wanted_synthesizer()
        rows, labels = self._checked(X, y)
        weights = self._checked_weights(sample_weight, labels)
        student = RandomForestRegressor(n_estimators=1) if self.student is None else clone(self.student)
        names = getattr(self, "feature_names_in_", None)  # scikit-learn sets it for data frames alone
        teacher_seed, student_seed, sample_seed = check_random_state(self.random_state).randint(2**31 - 1, size=3)
        teacher = fit_teacher(self.teacher, rows, labels, teacher_seed, names, weights)
        if isinstance(student, TREES):
            check_float32(rows, names)
        together = rows
        if synthesizer is not None:
            check_varying(rows, names)
            count = round(self.synthetic_ratio * len(rows))
            numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
            made = sample_rows(synthesizer, rows.astype(np.float64), numbers, count, int(sample_seed), names)
            together = made if self.scenario == "synthetic" else np.concatenate([rows, made])
            weights = None if self.scenario == "synthetic" else pooled_weights(weights, count)
        targets = to_targets(teacher.probabilities(together))
        if targets.ndim == 2 and not get_tags(student).target_tags.multi_output:
            raise ConfigurationError(
                f"student: {type(student).__name__} has one output and the teacher {targets.shape[1]} classes: "
                "put sklearn.multioutput.MultiOutputRegressor around it"
            )
        seeded(student, student_seed).fit(together, targets, **weights_for(student, weights, "student"))
        self.student_ = student
        self.teacher_, self.classes_ = teacher.model, teacher.classes
        self.classifier_ = StudentClassifier(self.student_, self.classes_, names)
        batch = rows[:BATCH]
        cost = profile_model(self.teacher_, self.teacher_.predict_proba, teacher.presented(batch))
        self.profile_ = Compression(cost, profile_model(self.classifier_, self.student_.predict, batch), len(batch))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """The student's class probabilities (N, K) of rows (N, D)."""
        check_is_fitted(self)
        return to_probabilities(self.student_.predict(validate_data(self, X, dtype=FLOATS, reset=False)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The student's likeliest class (N,) of rows (N, D)."""
        answers = self.predict_proba(X)
        likeliest: NDArray[Any] = self.classes_[answers.argmax(axis=1)]
        return likeliest

    def _wanted_synthesizer(self) -> SupportsSample | None:
        """Return the synthesizer to draw from, or None where real rows alone are wanted."""
        if self.scenario not in SCENARIOS:
            raise ConfigurationError(f"scenario must be one of {', '.join(SCENARIOS)}, got {self.scenario!r}")
        if self.scenario == "real":
            return None
        if self.synthesizer is None:
            raise ConfigurationError(
                f"scenario {self.scenario!r} needs a synthesizer: give one, or set scenario='real'"
            )
        if not self.synthetic_ratio > 0:
            raise ConfigurationError(f"synthetic_ratio must be positive, got {self.synthetic_ratio}")
        return self.synthesizer

    def _checked_weights(self, sample_weight: ArrayLike | None, labels: NDArray[Any]) -> NDArray[np.float64] | None:
        if sample_weight is None:
            return None
        if self.scenario == "synthetic" and self.teacher is not None and is_fitted(self.teacher):
            raise ConfigurationError(
                "sample_weight changes nothing: the teacher is fitted and the student sees no real row; leave it out, "
                "or set scenario='pooled'"
            )
        return check_weights(np.asarray(sample_weight), labels, "sample_weight")

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return rows and labels as arrays, or say which column or class is at fault."""
        try:
            rows, labels = validate_data(self, X, y, dtype=FLOATS, ensure_all_finite=False)
        except ValueError as error:
            _explain_strings(X, getattr(self, "feature_names_in_", None), error)
            raise
        check_finite(rows, getattr(self, "feature_names_in_", None), "X")
        check_classification_targets(labels)
        present = np.unique(labels)
        if len(present) == 1:
            raise ConfigurationError(
                f"y has one class, {present.tolist()[0]!r}: rows of two classes or more are needed"
            )
        return rows, labels


def _explain_strings(X: Any, names: Any, error: ValueError) -> None:
    """Raise a better error where a column holds strings."""
    table = np.asarray(X, dtype=object)
    if "string" not in str(error) or table.ndim != 2:
        return
    for column in range(table.shape[1]):
        texts = [value for value in table[:, column] if isinstance(value, str)]
        if texts:
            raise ConfigurationError(
                f"X: {column_name(names, column)} holds strings ({texts[0]!r}): encode it as numbers "
                "(sklearn.preprocessing.OneHotEncoder) or leave it out"
            ) from error
