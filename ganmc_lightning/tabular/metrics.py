"""Metrics of class probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, average_precision_score, log_loss

from ganmc_lightning.cards.calibration import calibration_error


def classification_metrics(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Compute AUC, average precision, accuracy, log loss and calibration error.

    Args:
        labels: int64 (N,) in 0..K-1; at least two classes occur.
        probabilities: float64 (N, K); each row sums to 1, up to the rounding of float32.

    Returns:
        ``auc``, see :func:`roc_auc`, and ``average_precision``, of class 1, or their means over the classes that occur
        of three or more; ``accuracy``; ``log_loss`` in nats; ``ece``, see
        :func:`~ganmc_lightning.cards.calibration.calibration_error`.

    Example:
        >>> metrics = classification_metrics(np.array([0, 1, 1]), np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]))
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'auc': 1.0, 'average_precision': 1.0, 'accuracy': 0.667, 'log_loss': 0.499, 'ece': 0.367}
    """
    normalized = probabilities / probabilities.sum(axis=1, keepdims=True)  # those of float32 models do not sum to 1
    return {
        "auc": roc_auc(labels, probabilities),
        "average_precision": mean_one_vs_rest(average_precision_score, labels, probabilities),
        "accuracy": top1_accuracy(labels, probabilities),
        "log_loss": float(log_loss(labels, normalized, labels=np.arange(probabilities.shape[1]))),
        "ece": calibration_error(labels, probabilities),
    }


def roc_auc(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None
) -> float:
    """Compute the area under the ROC curve, of three or more classes by :func:`mean_one_vs_rest`.

    Args:
        labels: int64 (N,) in 0..K-1; at least two classes occur.
        probabilities: float64 (N, K).
        sample_weight: weights (N,), or None (default).
    """
    return mean_one_vs_rest(binary_auc, labels, probabilities, sample_weight)


def binary_auc(
    positive: NDArray[np.bool_], values: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None
) -> float:
    """Compute the area under the ROC curve as scikit-learn does, in a tenth of its time for small arrays.

    Args:
        positive: bool (N,); both values occur.
        values: scores (N,); equal ones count half.
        sample_weight: weights (N,), or None (default).

    Example:
        >>> binary_auc(np.array([False, True, True]), np.array([0.1, 0.1, 0.9]))
        0.75
    """
    return _sorted_auc(positive, values)(np.ones(len(values)) if sample_weight is None else sample_weight)


def weighted_auc(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], float]:
    """Return :func:`roc_auc` as a function of the weights (N,): rows are sorted once for all resamples of a bootstrap.

    Args:
        labels: int64 (N,) in 0..K-1; at least two classes occur.
        probabilities: float64 (N, K).

    Example:
        >>> area = weighted_auc(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]))
        >>> area(np.array([1.0, 1.0, 1.0])), area(np.array([2.0, 0.0, 1.0]))
        (0.5, 1.0)
    """
    areas = [_sorted_auc(labels == code, probabilities[:, code]) for code in _scored_classes(labels, probabilities)]
    return lambda weights: float(np.mean([area(weights) for area in areas]))


def _sorted_auc(positive: NDArray[np.bool_], values: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], float]:
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    sorted_positive = positive[order]

    def area(weights: NDArray[np.float64]) -> float:
        ordered = weights[order]
        positives = np.add.reduceat(ordered * sorted_positive, starts)
        negatives = np.add.reduceat(ordered * ~sorted_positive, starts)
        below = np.cumsum(negatives) - negatives
        return float(positives @ (below + negatives / 2) / (positives.sum() * negatives.sum()))

    return area


def mean_one_vs_rest(
    score: Callable[..., float],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None = None,
) -> float:
    """Compute the mean of a binary score over the classes that occur; the score of class 1 for two classes.

    Args:
        score: function of binary labels and values, such as :func:`sklearn.metrics.roc_auc_score`.
        labels: int64 (N,) in 0..K-1; at least two classes occur.
        probabilities: float64 (N, K).
        sample_weight: weights (N,), or None (default).

    Example:
        >>> labels, probabilities = np.array([0, 0, 1]), np.array([[0.9, 0.1, 0], [0.3, 0.5, 0.2], [0.4, 0.4, 0.2]])
        >>> round(mean_one_vs_rest(binary_auc, labels, probabilities), 2)  # class 2 does not occur
        0.5
    """
    classes = _scored_classes(labels, probabilities)
    scores = [score(labels == code, probabilities[:, code], sample_weight=sample_weight) for code in classes]
    return float(np.mean(scores))


def _scored_classes(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> list[int]:
    """Return the classes that one-vs-rest scores are the mean of."""
    return [1] if probabilities.shape[1] == 2 else [int(code) for code in np.unique(labels)]


def auc_influence(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the influence of each row on the mean one-vs-rest AUC (DeLong et al. 1988).

    The standard error of the AUC of N rows, and of the difference of two AUCs on the same rows, is the standard
    deviation of the influences, or of their difference, divided by the square root of N.

    Args:
        labels: int64 (N,) in 0..K-1; at least two classes occur.
        probabilities: float64 (N, K).

    Returns:
        Influences (N,) of mean 0.

    Example:
        >>> auc_influence(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6], [0.1, 0.9]])).tolist()
        [0.5, -0.5, -0.5, 0.5]
    """
    classes = _scored_classes(labels, probabilities)
    total = np.zeros(len(labels))
    for code in classes:
        ranks = rankdata(probabilities[:, code])
        for rows, sign in ((labels == code, 1), (labels != code, -1)):
            # share of the rows of the other side that each row is ordered correctly to
            share = sign * (ranks[rows] - rankdata(probabilities[rows, code])) / np.sum(~rows)
            total[rows] += (share - share.mean()) * len(labels) / rows.sum()
    influence: NDArray[np.float64] = total / len(classes)
    return influence


def r2_influence(values: NDArray[np.float64], predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the influence of each row on the coefficient of determination, as :func:`auc_influence` does on the AUC.

    Args:
        values: values (N,), not all equal.
        predictions: predicted values (N,).

    Returns:
        Influences (N,) of mean 0.

    Example:
        >>> r2_influence(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0])).tolist()
        [0.75, 0.0, -0.75]
    """
    errors, deviations = (values - predictions) ** 2, (values - values.mean()) ** 2
    influence: NDArray[np.float64] = (errors.mean() / deviations.mean() * deviations - errors) / deviations.mean()
    return influence


def exceeds_standard_error(difference: float, influence: NDArray[np.float64]) -> bool:
    """Return whether the difference of two scores on the same rows is larger than its standard error.

    Args:
        difference: difference of the scores.
        influence: difference of the influences of each row on the scores (N,).

    Example:
        >>> [exceeds_standard_error(difference, np.array([0.5, -0.5] * 8)) for difference in (0.1, 0.2)]
        [False, True]
    """
    return bool(difference > influence.std() / np.sqrt(len(influence)))


def top1_accuracy(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Compute the fraction of samples whose most probable class is the label."""
    return float(accuracy_score(labels, probabilities.argmax(axis=1)))
