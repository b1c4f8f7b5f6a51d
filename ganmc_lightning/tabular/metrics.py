"""How good probabilities are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

METRICS = ("auc", "accuracy", "log_loss", "ece")
BINS = 15
"""Of the calibration error; 15 in the paper it is from."""


def classification_metrics(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Score class probabilities.

    Args:
        labels: 0..K-1 (N,); every class occurs.
        probabilities: (N, K), rows that sum to 1.

    Returns:
        ``auc``, the area under the ROC curve (for more than two classes one against the rest, the mean over the
        classes); ``accuracy``; ``log_loss`` in nats; ``ece``, see :func:`calibration_error`.
    """
    return {
        "auc": roc_auc(labels, probabilities),
        "accuracy": top1_accuracy(labels, probabilities),
        "log_loss": float(log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1]))),
        "ece": calibration_error(labels, probabilities),
    }


def roc_auc(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Area under the ROC curve; see :func:`classification_metrics`."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr"))


def top1_accuracy(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Share of the samples whose likeliest class is theirs."""
    return float(accuracy_score(labels, probabilities.argmax(axis=1)))


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int = BINS) -> float:
    """Expected calibration error of the likeliest class (Guo et al. 2017, equation 3), in [0, 1].

    The samples are sorted into bins of equal width by their confidence; the error is the mean over the samples of the
    distance between the accuracy and the mean confidence of their bin.

    Example:
        >>> labels = np.array([0, 0, 0, 1])
        >>> calibration_error(labels, np.tile([0.75, 0.25], (4, 1)))
        0.0
        >>> calibration_error(labels, np.tile([1.0, 0.0], (4, 1)))
        0.25
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    number = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    surplus = np.bincount(number, weights=confidence - right, minlength=bins)
    return float(np.abs(surplus).sum() / len(labels))
