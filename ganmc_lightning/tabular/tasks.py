"""What differs between classification and regression: targets, fit, predictions and scores of students."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, r2_score
from sklearn.utils import get_tags

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.histograms import drop_bin_thresholds, is_histogram_boosting, round_to_quantiles
from ganmc_lightning.tabular.metrics import mean_one_vs_rest, roc_auc
from ganmc_lightning.tabular.soft_targets import mix_labels, repeat_by_class, teacher_class_weights
from ganmc_lightning.tabular.student import to_targets
from ganmc_lightning.tabular.teacher import set_random_states, weight_argument

Targets = NDArray[np.float64]
Weights = NDArray[np.float64] | None


class Task(ABC):
    """Targets, fit and score of students.

    Attributes:
        n_classes: number of classes; 0 for regression.
        codes: classes of the real rows, int64 (N,) in 0..K-1; zeros for regression.
    """

    n_classes: int
    codes: NDArray[np.int64]

    @abstractmethod
    def mix(self, index: NDArray[np.int64], outputs: Targets, label_weight: float) -> tuple[Targets, Weights]:
        """Mix the labels of the real rows ``index`` with the teacher's outputs of these rows.

        Returns:
            Targets, and weights of the rows or None.
        """

    @abstractmethod
    def fit(self, estimator: Any, X: NDArray[Any], targets: Targets, weights: Weights, seed: int) -> Any:
        """Fit a student in place; ``seed`` is used where its ``random_state`` is None."""

    @abstractmethod
    def score(self, y: NDArray[Any], predictions: NDArray[np.float64], weights: Weights) -> float:
        """Compute the score of a student's predictions; higher is better."""


@dataclass(frozen=True)
class ClassificationTask(Task):
    """Classification with soft targets.

    Attributes:
        classes: class labels (K,), in the order of the teacher's probabilities.
        codes: classes of the real rows, int64 (N,).
        class_weights: the teacher's class weight of each real row, or None.
        scoring: ``roc_auc``, ``average_precision``, ``neg_log_loss`` or ``accuracy``.
    """

    classes: NDArray[Any]
    codes: NDArray[np.int64]
    class_weights: Weights
    scoring: str

    @property
    def n_classes(self) -> int:  # type: ignore[override]
        """Number of classes."""
        return len(self.classes)

    @classmethod
    def of(cls, teacher: Any, y: NDArray[Any], scoring: str) -> ClassificationTask:
        """Create the task of labels ``y`` (N,) and a :class:`~ganmc_lightning.tabular.teacher.Teacher`."""
        order = np.argsort(teacher.classes)
        codes = order[np.searchsorted(teacher.classes, y, sorter=order)].astype(np.int64)
        return cls(teacher.classes, codes, teacher_class_weights(teacher.model, y), scoring)

    def mix(self, index: NDArray[np.int64], outputs: Targets, label_weight: float) -> tuple[Targets, Weights]:
        """See :func:`~ganmc_lightning.tabular.soft_targets.mix_labels`."""
        class_weights = None if self.class_weights is None else self.class_weights[index]
        return mix_labels(self.codes[index], outputs, label_weight, class_weights)

    def fit(self, estimator: Any, X: NDArray[Any], targets: Targets, weights: Weights, seed: int) -> Any:
        """See :func:`fit_classification_student`."""
        return fit_classification_student(estimator, X, targets, weights, seed)

    def score(self, y: NDArray[Any], predictions: NDArray[np.float64], weights: Weights) -> float:
        """Compute ``scoring``; for three or more classes the mean of one-vs-rest AUC or average precision."""
        if self.scoring == "accuracy":
            return float(accuracy_score(y, predictions.argmax(axis=1), sample_weight=weights))
        if self.scoring == "neg_log_loss":
            return -float(log_loss(y, predictions, sample_weight=weights, labels=np.arange(self.n_classes)))
        if self.scoring == "roc_auc":
            return roc_auc(y, predictions, weights)
        return mean_one_vs_rest(average_precision_score, y, predictions, weights)


def fit_classification_student(estimator: Any, X: NDArray[Any], targets: Targets, weights: Weights, seed: int) -> Any:
    """Fit a regressor to probabilities by squared error, or a classifier to their cross-entropy, in place.

    Args:
        estimator: unfitted student.
        X: samples (N, D).
        targets: probabilities (N, K).
        weights: weights (N,), or None.
        seed: random seed where ``random_state`` is None.

    Raises:
        ConfigurationError: a regressor of one output for three or more classes, or a student without sample weights
            where there are weights.
    """
    set_random_states(estimator, seed)
    if is_classifier(estimator):
        rows = round_to_quantiles(X) if is_histogram_boosting(estimator) else X
        rows, codes, weights = repeat_by_class(rows, targets, weights)
        return drop_bin_thresholds(estimator.fit(rows, codes, **weight_argument(estimator, weights, "student")))
    regression_targets = to_targets(targets)
    if regression_targets.ndim == 2 and not get_tags(estimator).target_tags.multi_output:
        raise ConfigurationError(
            f"student: {type(estimator).__name__} has one output, expected {targets.shape[1]}, one per class; wrap "
            "it in sklearn.multioutput.MultiOutputRegressor"
        )
    return estimator.fit(X, regression_targets, **weight_argument(estimator, weights, "student"))


@dataclass(frozen=True)
class RegressionTask(Task):
    """Regression, scored by R^2.

    Attributes:
        values: targets of the real rows, float64 (N,).
    """

    values: NDArray[np.float64]

    @property
    def n_classes(self) -> int:  # type: ignore[override]
        """Zero."""
        return 0

    @property
    def codes(self) -> NDArray[np.int64]:  # type: ignore[override]
        """Zeros (N,): all rows belong to one class for synthesizers and folds."""
        return np.zeros(len(self.values), dtype=np.int64)

    def mix(self, index: NDArray[np.int64], outputs: Targets, label_weight: float) -> tuple[Targets, Weights]:
        """Return ``a y + (1 - a) f(x)`` and no weights."""
        return label_weight * self.values[index] + (1 - label_weight) * outputs, None

    def fit(self, estimator: Any, X: NDArray[Any], targets: Targets, weights: Weights, seed: int) -> Any:
        """Fit a regressor to the values."""
        set_random_states(estimator, seed)
        if weights is not None and is_histogram_boosting(estimator):
            X = round_to_quantiles(X)
        return drop_bin_thresholds(estimator.fit(X, targets, **weight_argument(estimator, weights, "student")))

    def score(self, y: NDArray[Any], predictions: NDArray[np.float64], weights: Weights) -> float:
        """Compute the coefficient of determination."""
        return float(r2_score(y, predictions, sample_weight=weights))
