"""Distillation of a large model into the smallest student that keeps its score, as scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.weights import check_weights
from ganmc_lightning.tabular.distilled_base import DistilledModel
from ganmc_lightning.tabular.profiling import profile_model
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.student import ArgmaxClassifier, StudentClassifier, student_probabilities
from ganmc_lightning.tabular.tasks import ClassificationTask, RegressionTask
from ganmc_lightning.tabular.teacher import Teacher
from ganmc_lightning.tabular.validation import check_class_targets, check_option, check_values

StudentArgument = Any | Sequence[Any]
TeacherLabelsArgument = Literal["auto", "in_bag", "out_of_bag", "cross_fit"]
TrainingDataArgument = Literal["auto", "real", "synthetic", "both"]
Scoring = Literal["roc_auc", "average_precision", "neg_log_loss", "accuracy"]
SCORINGS = ("roc_auc", "average_precision", "neg_log_loss", "accuracy")
DEFAULT_STUDENTS = ("boosting", "tree")


class DistilledClassifier(ArgmaxClassifier, DistilledModel):
    """Distill a classifier into a small tree, forest or boosting model (GAN-MC section 4; Bucila et al. 2006).

    The teacher labels real rows, synthetic rows or both with its probabilities. Students of several kinds and sizes
    are fitted to them and compared on validation rows; the best within the budget is fitted again to all rows.
    Boosting minimizes the cross-entropy of the probabilities, trees and forests their squared error. With fewer than
    5,000 rows the score is the mean of a cross-validation.

    A teacher that was fitted to the validation rows passes their labels on to its students, which then score too high.
    An unfitted teacher, and a forest of scikit-learn that was fitted to as many rows as X, are therefore cloned and
    fitted without the validation rows to choose the student. Any other fitted teacher is used unchanged: pass ``X_val``
    that it was not fitted to.

    Class weights are parameters of the teacher, for example ``RandomForestClassifier(class_weight="balanced")``; the
    student inherits their effect. Columns of strings or categories are one-hot encoded, see
    :func:`~ganmc_lightning.tabular.encoding.fit_encoder`; an unknown category is encoded as zeros. NaN is accepted
    where teacher and student accept it. A synthesizer is fitted to rows whose NaN is replaced by the value of a random
    row of the class, and a synthetic row is NaN where a random real row is. A column with heavy tails is scaled for it
    by quantiles, see :func:`~ganmc_lightning.tabular.sampling.robust_center_scale`.

    Args:
        teacher: Classifier with ``predict_proba``. A fitted one labels the rows of the final student, an unfitted one
            is cloned and fitted. A fitted one and a pipeline receive categories as they are, any other receives
            encoded columns. Default: None, the ``RandomForestClassifier`` of 500 trees of GAN-MC.
        student: ``"tree"``, ``"forest"``, ``"boosting"``, an unfitted regressor or classifier of scikit-learn,
            XGBoost or LightGBM, or a list of these, compared by score. A regressor needs one output per class for
            more than two classes. Default: ``("boosting", "tree")``.
        max_nodes: Largest number of nodes of the student, leaves included. Default: None, one per row, at least 99 and
            at most 10,000 for the named kinds.
        max_bytes: Largest size of the pickled ``student_``, that of its joblib file. The object file of its C source is
            smaller, see :func:`~ganmc_lightning.tabular.export.measure_object`; a skops file is larger. Default:
            None, no limit.
        max_predict_seconds: Longest prediction time of an encoded row: the time of a batch of 5,000 validation rows on
            one thread, divided by 5,000; the minimum of 5 calls. It is measured for every fitted candidate, and once
            more for the final student. A candidate close to the limit may be accepted in one run and rejected in
            another. Default: None, no limit.
        teacher_labels: Teacher's labels of real rows: ``"in_bag"``, from the whole teacher; ``"out_of_bag"``, from
            the trees of a bootstrap forest that were not fitted to the row; ``"cross_fit"``, from five clones, each
            fitted without a fifth of the rows; or ``"auto"`` (default), the in-bag labels and the others that the
            teacher has, compared by score.
        label_weight: Share of the true labels in the targets of real rows, in [0, 1]. Default: ``"auto"``, 0, 1/2 and
            1 compared by score.
        synthesizer: Source of synthetic samples: one of :mod:`ganmc_lightning.synthesizers`, which is copied and
            fitted to the z-scores of X; a trained GAN, see :func:`~ganmc_lightning.tabular.load_synthesizer`; or any
            fitted object with ``sample(n)`` in the units and columns of X. Default: None.
        synthetic_ratio: Synthetic samples per real sample, positive. Default: 9, as in GAN-MC.
        training_data: Training samples of the student: ``"real"``, ``"synthetic"``, ``"both"``, or ``"auto"``
            (default): synthetic samples are used where they have the better score.
        scoring: Score on the validation rows: ``"roc_auc"`` (default), ``"average_precision"``, ``"neg_log_loss"`` or
            ``"accuracy"``; the first two are means over the classes for three or more.
        validation_fraction: Share of the rows in a validation part, in (0, 0.5], rounded to 1/2, 1/3, 1/4, ..., because
            the parts are equal. Default: 0.2.
        random_state: Seed of the parts and of the synthetic samples, and of teacher and students where their
            ``random_state`` is None. Default: None.

    Attributes:
        classes_: Class labels (K,), in the order of the probabilities.
        teacher_: Fitted teacher.
        student_: Fitted student: a regressor of probabilities, or a classifier of the codes 0..K-1.
        classifier_: Student as a :class:`~ganmc_lightning.tabular.StudentClassifier` of encoded columns without the
            teacher, to store and export.
        encoder_: Encoder of the categorical columns, to apply before ``classifier_``; None for a table of numbers.
        selection_: Candidates within the budget, a list of :class:`~ganmc_lightning.tabular.StudentCandidate`, best
            first.
        chosen_: The candidate that was fitted to all rows.
        profile_: Size and speed of teacher and student, a :class:`~ganmc_lightning.tabular.CompressionProfile`.
        n_features_in_: Number of features D.
        feature_names_in_: Names of the features (D,), where X was a data frame.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> teacher = RandomForestClassifier(20, random_state=0)
        >>> model = DistilledClassifier(teacher, "tree", max_nodes=9, random_state=0).fit(X, y)
        >>> model.profile_.student.nodes <= 9, round(model.score(X, y), 1)
        (True, 1.0)
    """

    _regression = False

    def __init__(
        self,
        teacher: Any = None,
        student: StudentArgument = DEFAULT_STUDENTS,
        *,
        max_nodes: int | None = None,
        max_bytes: int | None = None,
        max_predict_seconds: float | None = None,
        teacher_labels: TeacherLabelsArgument = "auto",
        label_weight: float | Literal["auto"] = "auto",
        synthesizer: SupportsSample | None = None,
        synthetic_ratio: float = 9,
        training_data: TrainingDataArgument = "auto",
        scoring: Scoring = "roc_auc",
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.max_nodes = max_nodes
        self.max_bytes = max_bytes
        self.max_predict_seconds = max_predict_seconds
        self.teacher_labels = teacher_labels
        self.label_weight = label_weight
        self.synthesizer = synthesizer
        self.synthetic_ratio = synthetic_ratio
        self.training_data = training_data
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of samples (N, D) with the student."""
        check_is_fitted(self)
        return student_probabilities(self.student_, self._encode(X, get_tags(self.student_).input_tags.allow_nan))

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_option("scoring", self.scoring, SCORINGS)

    def _check_targets(self, y: NDArray[Any]) -> None:
        check_class_targets(y)

    def _check_weights(self, weights: ArrayLike, y: NDArray[Any], name: str) -> NDArray[np.float64]:
        return check_weights(np.asarray(weights), y, name)

    def _make_task(self, teacher: Teacher, y: NDArray[Any]) -> ClassificationTask:
        self.classes_ = teacher.classes
        return ClassificationTask.of(teacher, y, self.scoring)

    def _encode_targets(self, y: ArrayLike) -> NDArray[Any]:
        matches = np.asarray(y)[:, None] == self.classes_  # np.equal cannot compare text with numbers
        unknown = ~matches.any(axis=1)
        if unknown.any():
            raise ConfigurationError(
                f"y_val: got {np.asarray(y)[unknown].tolist()[0]!r}, expected one of the classes of y"
            )
        codes: NDArray[np.int64] = matches.argmax(axis=1)
        return codes

    def _store_student(self, student: Any, batch: NDArray[Any]) -> Any:
        self.student_ = student
        self.classifier_ = StudentClassifier(student, self.classes_, self._names())
        return profile_model(self.classifier_, lambda rows: student_probabilities(student, rows), batch)


class DistilledRegressor(RegressorMixin, DistilledModel):  # type: ignore[misc]  # scikit-learn has no types
    """Distill a regressor into a small tree, forest or boosting model (Bucila et al. 2006).

    The teacher predicts values of real rows, synthetic rows or both. Students of several kinds and sizes are fitted to
    them by squared error and compared by R^2 on validation rows, as in :class:`DistilledClassifier`, which describes
    categorical columns, missing values and validation.

    Args:
        teacher: Regressor, fitted or not, as in :class:`DistilledClassifier`. Default: None, a
            ``RandomForestRegressor`` of 500 trees.
        student: ``"tree"``, ``"forest"``, ``"boosting"``, an unfitted regressor, or a list of these. Default:
            ``("boosting", "tree")``.
        max_nodes: Largest number of nodes of the student, leaves included. Default: None, one per row, at least 99 and
            at most 10,000 for the named kinds.
        max_bytes: Largest size of the pickled student. Default: None, no limit.
        max_predict_seconds: Longest prediction time of a row in seconds, as in :class:`DistilledClassifier`. Default:
            None, no limit.
        teacher_labels: ``"in_bag"``, ``"out_of_bag"``, ``"cross_fit"`` or ``"auto"`` (default), as in
            :class:`DistilledClassifier`.
        label_weight: Share of the true values in the targets of real rows, in [0, 1]. Default: ``"auto"``, 0, 1/2 and
            1 compared by score.
        synthesizer: Source of synthetic samples, as in :class:`DistilledClassifier`; all rows are of one class.
            Default: None.
        synthetic_ratio: Synthetic samples per real sample, positive. Default: 9.
        training_data: ``"real"``, ``"synthetic"``, ``"both"`` or ``"auto"`` (default).
        validation_fraction: Share of the rows in a validation part, in (0, 0.5], rounded to 1/2, 1/3, 1/4, ..., because
            the parts are equal. Default: 0.2.
        random_state: Seed, as in :class:`DistilledClassifier`. Default: None.

    Attributes:
        teacher_: Fitted teacher.
        regressor_: Fitted student of encoded columns, to store and export.
        encoder_: Encoder of the categorical columns; None for a table of numbers.
        selection_: Candidates within the budget, best first.
        chosen_: The candidate that was fitted to all rows.
        profile_: Size and speed of teacher and student.
        n_features_in_: Number of features D.
        feature_names_in_: Names of the features (D,), where X was a data frame.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> teacher = RandomForestRegressor(50, random_state=0)
        >>> model = DistilledRegressor(teacher, "boosting", max_nodes=300, random_state=0).fit(X, y)
        >>> model.profile_.student.nodes <= 300, model.score(X, y) > 0.4
        (True, True)
    """

    _regression = True

    def __init__(
        self,
        teacher: Any = None,
        student: StudentArgument = DEFAULT_STUDENTS,
        *,
        max_nodes: int | None = None,
        max_bytes: int | None = None,
        max_predict_seconds: float | None = None,
        teacher_labels: TeacherLabelsArgument = "auto",
        label_weight: float | Literal["auto"] = "auto",
        synthesizer: SupportsSample | None = None,
        synthetic_ratio: float = 9,
        training_data: TrainingDataArgument = "auto",
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.max_nodes = max_nodes
        self.max_bytes = max_bytes
        self.max_predict_seconds = max_predict_seconds
        self.teacher_labels = teacher_labels
        self.label_weight = label_weight
        self.synthesizer = synthesizer
        self.synthetic_ratio = synthetic_ratio
        self.training_data = training_data
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict values (N,) of samples (N, D) with the student."""
        check_is_fitted(self)
        return self._predict_values(self._encode(X, get_tags(self.regressor_).input_tags.allow_nan))

    def _predict_values(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        names = getattr(self.regressor_, "feature_names_in_", None)
        return Teacher(self.regressor_, np.empty(0), names).predict_outputs(rows)

    def _check_targets(self, y: NDArray[Any]) -> None:
        check_values(y)

    def _check_weights(self, weights: ArrayLike, y: NDArray[Any], name: str) -> NDArray[np.float64]:
        return check_weights(np.asarray(weights), np.zeros(len(y), dtype=np.int64), name)

    def _make_task(self, teacher: Teacher, y: NDArray[Any]) -> RegressionTask:
        return RegressionTask(y)

    def _encode_targets(self, y: ArrayLike) -> NDArray[Any]:
        return np.asarray(y, dtype=np.float64)

    def _store_student(self, student: Any, batch: NDArray[Any]) -> Any:
        self.regressor_, names = student, self._names()
        if names is not None and not hasattr(type(student), "feature_names_in_"):  # a property of other libraries
            student.feature_names_in_ = np.asarray(names, dtype=object)
        return profile_model(student, self._predict_values, batch)
