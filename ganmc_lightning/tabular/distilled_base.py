"""Distillation of a large model into a small student: what the classifier and the regressor share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.compress_checks import has_names
from ganmc_lightning.tabular.encoding import encode_rows, encoded_names, fit_encoder, sklearn_names, to_numpy_types
from ganmc_lightning.tabular.folds import stratified_folds
from ganmc_lightning.tabular.profiling import BATCH, CompressionProfile, profile_model
from ganmc_lightning.tabular.recipes import BOTH, REAL, SYNTHETIC, TrainingRows, make_recipes
from ganmc_lightning.tabular.sampling import check_float32
from ganmc_lightning.tabular.selection import (
    ShouldFit,
    SizeBudget,
    StudentCandidate,
    ValidationPart,
    fit_best,
    select_students,
    single_candidate,
)
from ganmc_lightning.tabular.students import EstimatorKind, StudentKind, student_kinds
from ganmc_lightning.tabular.tasks import Task
from ganmc_lightning.tabular.teacher import Teacher, is_fitted, takes_raw_columns
from ganmc_lightning.tabular.teacher_labels import CROSS_FIT, IN_BAG, OUT_OF_BAG, TableRows, TeacherLabels
from ganmc_lightning.tabular.validation import (
    check_missing,
    check_no_empty_column,
    check_no_index,
    check_no_infinity,
    check_numbers,
    check_option,
    check_positive,
)

FLOATS = [np.float64, np.float32]
TREES = (BaseDecisionTree, BaseForest, BaseGradientBoosting)
"""Students that compare in float32."""
CROSS_VALIDATION_ROWS = 5_000
"""With fewer rows, every row is a validation row once: the scores of one part are too noisy to compare students."""


class DistilledModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base class of :class:`DistilledClassifier` and :class:`DistilledRegressor`, which document the arguments."""

    _regression: bool

    @abstractmethod
    def _check_targets(self, y: NDArray[Any]) -> None:
        """Validate labels or values (N,)."""

    @abstractmethod
    def _make_task(self, teacher: Teacher, y: NDArray[Any]) -> Task:
        """Create the task of a fitted teacher and real rows."""

    @abstractmethod
    def _encode_targets(self, y: ArrayLike) -> NDArray[Any]:
        """Convert labels of validation rows to codes, or values to float64."""

    @abstractmethod
    def _check_weights(self, weights: ArrayLike, y: NDArray[Any], name: str) -> NDArray[np.float64]:
        """Validate weights (N,) of rows with labels or values y (N,)."""

    @abstractmethod
    def _store_student(self, student: Any, batch: NDArray[Any]) -> Any:
        """Store the fitted student; return its profile on a batch."""

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        should_fit: ShouldFit | None = None,
    ) -> Self:
        """Fit the teacher unless it is fitted, choose the student on validation rows and fit it to all rows of X.

        Args:
            X: Samples (N, D), array or data frame.
            y: Labels or values (N,).
            sample_weight: Weights (N,), at least 0, for an unfitted teacher, the students and the scores. A synthetic
                sample has the mean weight of the real ones. Default: None, equal weights.
            X_val: Validation samples (M, D) to choose the student on. Default: None, a part of X.
            y_val: Labels or values (M,) of ``X_val``.
            sample_weight_val: Weights (M,) of ``X_val``. Default: None, equal weights.
            should_fit: Called with the kind of students and the training set, a
                :class:`~ganmc_lightning.tabular.recipes.TrainingRecipe`, before students are compared; returns
                whether to fit them, for example until a deadline. Default: None, all.

        Returns:
            The fitted estimator.

        Raises:
            ConfigurationError: an argument, a column of X or y is invalid, or no student is small enough.
        """
        self._check_arguments()
        rows, targets = self._read_training_rows(X, y)
        weights = self._read_weights(sample_weight, targets)
        teacher_seed, student_seed, sample_seed = (
            int(seed) for seed in check_random_state(self.random_state).randint(2**31 - 1, size=3)
        )
        labels = self._teacher_labels(rows, targets, weights, teacher_seed)
        everything = np.arange(len(targets))
        teacher = labels.fit(everything)
        task = self._make_task(teacher, targets)
        labels.codes = task.codes
        kinds = student_kinds(self.student, task.n_classes)
        self._check_columns(rows, kinds)
        training = TrainingRows(
            task, labels, self.synthesizer, self.synthetic_ratio, self.encoder_, self._names(), weights, sample_seed
        )
        budget = SizeBudget(self.max_nodes, self.max_bytes, self.max_predict_seconds)
        validation = None
        if X_val is not None:
            validation = self._read_validation_part(everything, X_val, y_val, sample_weight_val)
        self.selection_ = self._select(training, teacher, kinds, budget, validation, student_seed, should_fit)
        self.chosen_, student = fit_best(training, self.selection_, teacher, budget, student_seed)
        self.teacher_ = teacher.model
        first = rows.take(everything[:BATCH])
        predict = self.teacher_.predict if self._regression else self.teacher_.predict_proba
        teacher_profile = profile_model(self.teacher_, predict, teacher.to_fit_format(labels.inputs(first)))
        self.profile_ = CompressionProfile(
            teacher_profile, self._store_student(student, first.encoded), len(first.encoded)
        )
        return self

    def _select(
        self,
        training: TrainingRows,
        teacher: Teacher,
        kinds: Sequence[StudentKind],
        budget: SizeBudget,
        validation: ValidationPart | None,
        seed: int,
        should_fit: ShouldFit | None,
    ) -> list[StudentCandidate]:
        """Rank the candidates on validation rows; one candidate alone needs none."""
        labels, task = training.labels, training.task
        try_synthetic = self.training_data == "auto" and self.synthesizer is not None
        recipes = make_recipes(
            labels.sources(teacher, self.teacher_labels),
            self.label_weight,
            REAL if self.training_data == "auto" else self.training_data,
        )
        if not try_synthetic:
            only = single_candidate(kinds, recipes, budget, task.n_classes, len(labels.y))
            if only is not None:
                return [only]
        parts = self._split(labels, task, training.sample_weight) if validation is None else [(validation, teacher)]
        return select_students(training, kinds, recipes, parts, budget, seed, try_synthetic, should_fit)

    def _check_arguments(self) -> None:
        check_option("teacher_labels", self.teacher_labels, ("auto", IN_BAG, OUT_OF_BAG, CROSS_FIT))
        check_option("training_data", self.training_data, ("auto", REAL, SYNTHETIC, BOTH))
        if self.training_data in (SYNTHETIC, BOTH) and self.synthesizer is None:
            raise ConfigurationError(f"synthesizer: got None, required for training_data={self.training_data!r}")
        check_positive("synthetic_ratio", self.synthetic_ratio)
        check_positive("validation_fraction", self.validation_fraction, 0.5)
        weight = self.label_weight
        if weight != "auto" and not (isinstance(weight, Real) and 0 <= float(weight) <= 1):
            raise ConfigurationError(f"label_weight: got {weight!r}, expected 'auto' or a value in [0, 1]")
        for name in ("max_nodes", "max_bytes", "max_predict_seconds"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))

    def _read_training_rows(self, X: Any, y: ArrayLike) -> tuple[TableRows, NDArray[Any]]:
        X = to_numpy_types(X)
        check_no_index(X)
        if self._regression:
            check_numbers(y)
        self.encoder_ = fit_encoder(X)
        if self.encoder_ is None:
            encoded, targets = validate_data(
                self, X, y, dtype=FLOATS, ensure_all_finite=False, y_numeric=self._regression
            )
            # the steps of a pipeline may choose columns by their types
            keeps_types = isinstance(self.teacher, Pipeline) and hasattr(X, "iloc")
            if keeps_types and is_fitted(self.teacher):
                keeps_types = has_names(self.teacher)
            rows = TableRows(encoded, X if keeps_types else None)
        else:
            validate_data(self, X, skip_check_array=True)  # records the columns
            targets = column_or_1d(y, warn=True)
            check_consistent_length(X, targets)
            names = self._names()
            if names is not None and names == sklearn_names(self.encoder_):  # a data frame needs different names
                self.encoder_.set_output(transform="pandas")
            rows = TableRows(encode_rows(self.encoder_, X), X)
        check_no_infinity(rows.encoded, self._names())
        targets = np.asarray(targets, dtype=np.float64) if self._regression else targets
        self._check_targets(targets)
        return rows, targets

    def _names(self) -> Sequence[str] | None:
        """Return the names of the encoded columns; None for an array."""
        names = getattr(self, "feature_names_in_", None)
        if names is None or self.encoder_ is None:
            return names
        return encoded_names(self.encoder_)

    def _encode(self, X: Any, missing: bool) -> NDArray[Any]:
        """Encode rows to predict (N, E), with NaN where the student accepts it."""
        X, finite = to_numpy_types(X), "allow-nan" if missing else True
        if self.encoder_ is None:
            encoded: NDArray[Any] = validate_data(self, X, dtype=FLOATS, reset=False, ensure_all_finite=finite)
            return encoded
        validate_data(self, X, reset=False, skip_check_array=True)
        return encode_rows(self.encoder_, X)

    def _read_weights(self, sample_weight: ArrayLike | None, y: NDArray[Any]) -> NDArray[np.float64] | None:
        if sample_weight is None:
            return None
        if self.training_data == SYNTHETIC and self.teacher is not None and is_fitted(self.teacher):
            raise ConfigurationError(
                "sample_weight has no effect with a fitted teacher and training_data='synthetic'; remove it, or set "
                "training_data='both'"
            )
        return self._check_weights(sample_weight, y, "sample_weight")

    def _teacher_labels(
        self, rows: TableRows, y: NDArray[Any], weights: NDArray[np.float64] | None, seed: int
    ) -> TeacherLabels:
        """Pair teacher and rows, encoded unless the teacher takes the columns as they are."""
        takes_raw = self.teacher is not None and takes_raw_columns(self.teacher)
        names = getattr(self, "feature_names_in_", None) if takes_raw else self._names()
        default = RandomForestRegressor() if self._regression else RandomForestClassifier()
        check_missing(rows.encoded, self._names(), default if self.teacher is None else self.teacher, "teacher")
        return TeacherLabels(
            self.teacher, rows, y, np.zeros(0, dtype=np.int64), names, takes_raw, weights, seed, self._regression
        )

    def _check_columns(self, rows: TableRows, kinds: Sequence[StudentKind]) -> None:
        given = [kind.estimator for kind in kinds if isinstance(kind, EstimatorKind)]
        for student in given:
            check_missing(rows.encoded, self._names(), student, "student")
        if any(kind.name in ("tree", "forest") for kind in kinds) or any(isinstance(s, TREES) for s in given):
            check_float32(rows.encoded, self._names())
        if any(kind.name == "boosting" for kind in kinds):
            check_no_empty_column(rows.encoded, self._names())

    def _split(
        self, labels: TeacherLabels, task: Task, weights: NDArray[np.float64] | None
    ) -> list[tuple[ValidationPart, Teacher]]:
        """Split the rows into stratified parts; all are used in turn where there are few rows."""
        folds = stratified_folds(task.codes, round(1 / self.validation_fraction), labels.seed, weights)
        y = labels.y
        targets = task.codes if task.n_classes else y
        parts = []
        for fold in range(1 if len(y) >= CROSS_VALIDATION_ROWS else round(1 / self.validation_fraction)):
            scored = folds == fold if weights is None else (folds == fold) & (weights > 0)
            held_out, index = np.flatnonzero(scored), np.flatnonzero(folds != fold)
            if len(np.unique(targets[held_out])) > 1:  # a score needs two values
                part_weights = None if weights is None else weights[held_out]
                part = ValidationPart(index, labels.rows.encoded[held_out], targets[held_out], part_weights)
                parts.append((part, labels.fit_part(index)))
        if not parts:
            raise ConfigurationError(
                f"X: got {len(y)} rows, too few to choose a student on validation rows; pass X_val and y_val, or one "
                "unfitted estimator as student, with teacher_labels, label_weight and training_data"
            )
        return parts

    def _read_validation_part(
        self, index: NDArray[np.int64], X_val: Any, y_val: Any, sample_weight_val: ArrayLike | None
    ) -> ValidationPart:
        if y_val is None:
            raise ConfigurationError("y_val: got None, expected the labels of X_val")
        y_val = column_or_1d(y_val)
        encoded, targets = self._encode(X_val, missing=True), self._encode_targets(y_val)
        check_consistent_length(encoded, targets)
        if len(np.unique(targets)) < 2:
            raise ConfigurationError("y_val: got one value, expected two or more")
        weights = None
        if sample_weight_val is not None:
            weights = self._check_weights(sample_weight_val, y_val, "sample_weight_val")
        return ValidationPart(index, encoded, targets, weights)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags
