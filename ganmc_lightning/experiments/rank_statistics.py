"""Statistical tests of models over several data sets (Demsar, JMLR 7, 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE = 0.05


class WinsTiesLosses(NamedTuple):
    """Numbers of data sets on which a model is better than, equal to and worse than another."""

    wins: int
    ties: int
    losses: int


def count_wins(differences: NDArray[np.float64], tie: float) -> WinsTiesLosses:
    """Count positive and negative differences of absolute value above ``tie``, and smaller ones; NaN is not counted.

    Example:
        >>> count_wins(np.array([0.02, 0.0005, -0.1, np.nan]), tie=0.001)
        WinsTiesLosses(wins=1, ties=1, losses=1)
    """
    counted = (differences > tie, np.abs(differences) <= tie, differences < -tie)
    return WinsTiesLosses(*(int(each.sum()) for each in counted))


def average_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean rank of each model; 1 is the best, equal scores share their mean rank.

    Args:
        scores: (N, k), one row per data set; higher is better.

    Example:
        >>> average_ranks(np.array([[0.9, 0.8, 0.7], [0.6, 0.6, 0.5]]))
        array([1.25, 1.75, 3.  ])
    """
    from scipy.stats import rankdata  # imported here: takes 0.5 s

    ranks: NDArray[np.float64] = rankdata(-scores, axis=1).mean(axis=0)
    return ranks


def friedman_test(scores: NDArray[np.float64]) -> float:
    """Compute the p-value of the Friedman test that all models are equal; 1 if all scores of each row are equal.

    Args:
        scores: (N, k), one row per data set, k >= 3.
    """
    from scipy.stats import friedmanchisquare

    if (scores == scores[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*scores.T).pvalue)


def critical_difference(n_models: int, n_data_sets: int) -> float:
    """Compute the difference of mean ranks that the Nemenyi test calls significant at the 5 % level.

    It is ``q sqrt(k (k + 1) / (6 N))`` with q the quantile of the studentized range divided by the square root of 2
    (Demsar 2006, section 3.2.2).

    Example:
        >>> round(critical_difference(4, 14), 2)  # Demsar's example
        1.25
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - SIGNIFICANCE, n_models, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(n_models * (n_models + 1) / (6 * n_data_sets))


def signed_rank_test(differences: NDArray[np.float64]) -> float:
    """Compute the two-sided p-value of Wilcoxon's signed-rank test; ranks of zero differences are split.

    It is NaN if a difference is NaN.

    Example:
        >>> round(signed_rank_test(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])), 3), signed_rank_test(np.zeros(6))
        (0.031, 1.0)
    """
    from scipy.stats import wilcoxon

    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, zero_method="zsplit").pvalue)


def signed_rank_sum(differences: NDArray[np.float64]) -> float:
    """Compute the rank sum of the positive differences minus that of the negative ones, with ranks of absolute values.

    Its sign is the direction of :func:`signed_rank_test`. That of the mean may differ, because of a few large values.

    Example:
        >>> signed_rank_sum(np.array([-0.1, -0.2, -0.3, 0.9]))
        -2.0
    """
    from scipy.stats import rankdata

    return float(np.sign(differences) @ rankdata(np.abs(differences)))


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for several tests by Holm's step-down method, in the given order.

    NaN, the p-value of a test that could not be computed, is kept and does not count as a test.

    Example:
        >>> adjust_holm([0.01, 0.04, math.nan, 0.03])
        [0.03, 0.06, nan, 0.06]
    """
    adjusted, largest = list(p_values), 0.0
    known = [index for index, p in enumerate(p_values) if not math.isnan(p)]
    for rank, index in enumerate(sorted(known, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
