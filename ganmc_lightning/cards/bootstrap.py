"""Bootstrap intervals of means over test samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 95
RESAMPLES = 10_000


class Interval(NamedTuple):
    """An estimate with its interval.

    Attributes:
        value: value on the test samples.
        low: lower end of the 95 % bootstrap interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def bootstrap_mean(values: NDArray[np.floating] | NDArray[np.bool_], seed: int = 0) -> Interval:
    """Compute a mean and its 95 % percentile bootstrap interval (Efron and Tibshirani 1993, section 13.3).

    For paired differences, pass the difference of each sample. Numbers of occurrences of equal values are drawn
    together: time and memory are proportional to the number of distinct values, which is two for correct and wrong
    predictions.

    Args:
        values: values of the samples, (N,).
        seed: random seed of the resamples (default: 0).

    Example:
        >>> interval = bootstrap_mean(np.array([1.0] * 90 + [0.0] * 10))
        >>> [round(float(value), 2) for value in interval]
        [0.9, 0.84, 0.95]
    """
    random = np.random.default_rng(seed)
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    means = random.multinomial(len(values), counts / len(values), size=RESAMPLES) @ distinct / len(values)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(np.mean(values)), float(low), float(high))
