"""Calibration of class probabilities, and temperature scaling (Guo et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""
CURVE_BINS, MIN_BIN_SAMPLES = 10, 10
"""Bins of the reliability curve; those with fewer samples are not shown."""
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.02, 50.0
"""A temperature outside this range means that the validation samples do not determine it."""


class CurvePoint(NamedTuple):
    """A bin of the reliability curve.

    Attributes:
        confidence: mean confidence.
        accuracy: share of correct predictions.
        samples: number of samples.
    """

    confidence: float
    accuracy: float
    samples: int


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int = BINS) -> float:
    """Compute the expected calibration error of the most probable class (Guo et al. 2017, eq. 3), in [0, 1].

    The samples are binned by confidence into bins of equal width. The error is the sample-weighted mean of
    ``|accuracy - mean confidence|`` over the bins.

    Args:
        labels: int64 (N,) in 0..K-1.
        probabilities: float64 (N, K).
        bins: number of bins (default: 15).

    Example:
        >>> labels = np.array([0, 0, 0, 1])
        >>> calibration_error(labels, np.tile([0.75, 0.25], (4, 1)))
        0.0
        >>> calibration_error(labels, np.tile([1.0, 0.0], (4, 1)))
        0.25
    """
    confidence, correct, index = _bins(labels, probabilities, bins)
    gap = np.bincount(index, weights=confidence - correct, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def reliability_curve(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> tuple[CurvePoint, ...]:
    """Compute confidence and accuracy of the most probable class in ten bins of the confidence.

    Args:
        labels: int64 (N,) in 0..K-1.
        probabilities: float64 (N, K).

    Returns:
        The bins with at least ten samples, by confidence.

    Example:
        >>> reliability_curve(np.array([0] * 15 + [1] * 5), np.tile([0.75, 0.25], (20, 1)))
        (CurvePoint(confidence=0.75, accuracy=0.75, samples=20),)
    """
    confidence, correct, index = _bins(labels, probabilities, CURVE_BINS)
    return tuple(
        CurvePoint(float(confidence[chosen].mean()), float(correct[chosen].mean()), int(chosen.sum()))
        for chosen in (index == number for number in range(CURVE_BINS))
        if chosen.sum() >= MIN_BIN_SAMPLES
    )


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float | None:
    """Fit the temperature that minimizes the log loss of ``softmax(logits / temperature)`` (Guo et al. 2017, sec. 4.2).

    Args:
        logits: logits of validation samples, (N, K).
        labels: int64 (N,) in 0..K-1.

    Returns:
        The temperature; None if the log loss has no minimum between 0.02 and 50, for example if every validation
        sample is classified correctly.

    Example:
        >>> logits = np.tile([2 * np.log(3), 0.0], (4, 1))  # probability 0.9 at temperature 1
        >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 6)  # 0.75 at temperature 2
        2.0
    """
    from scipy.optimize import brentq  # imported here: takes 0.3 s

    target = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]

    def slope(log_temperature: float) -> float:
        """Return the derivative of the log loss by 1 / temperature, which increases with 1 / temperature."""
        probabilities = np.exp(log_softmax(logits, np.exp(log_temperature)))
        return float(np.mean((probabilities * logits).sum(axis=1) - target))

    low, high = np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)
    if not slope(high) < 0 < slope(low):
        return None
    return float(np.exp(brentq(slope, low, high)))


def log_softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Compute log probabilities in float64.

    Args:
        logits: (N, K).
        temperature: divisor of the logits (default: 1).

    Example:
        >>> log_softmax(np.array([[1000.0, 1000.0]])).round(4)
        array([[-0.6931, -0.6931]])
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    scaled -= np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return scaled


def _bins(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return confidence, correctness and bin of each sample."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    return confidence, correct, np.minimum((confidence * bins).astype(np.int64), bins - 1)
