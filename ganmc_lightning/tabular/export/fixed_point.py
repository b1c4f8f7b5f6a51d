"""Trees in 16-bit integers: rounded features, thresholds and leaf values, as in emlearn (Nordby 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.tabular.export.arrays import round_down
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble, blocks, sum_leaves

LOWEST, HIGHEST, MISSING = -32767, 32767, -32768
"""Smallest and largest rounded feature, and the integer of a missing value."""
STEEPEST = 1e30
"""Largest scale of a feature, so that products of finite numbers are no NaN."""
STEPS = HIGHEST - LOWEST
GRIDS, SHRINKAGE = 64, 0.003
"""Number of grids tried per feature, each smaller than the one before by this share of the largest."""
LARGEST_SUM = 2**31 - 1
"""Largest int32, which the sums must not exceed."""


@dataclass(frozen=True)
class FixedPointEnsemble:
    """Trees whose features, thresholds, leaves and sums are integers.

    Attributes:
        ensemble: the exact trees.
        offsets: float32 (D,), feature value of the smallest rounded feature.
        scales: float32 (D,), rounded features per unit; 0 for a feature that no threshold uses.
        thresholds: int (nodes,), the largest rounded feature that takes the left child.
        leaves: int (leaves, values), in int16.
        baseline: int (K,), in int32.
        bits: number of fractional bits of leaves and sums; negative for large values.
    """

    ensemble: FlatEnsemble
    offsets: NDArray[np.float32]
    scales: NDArray[np.float32]
    thresholds: NDArray[np.int64]
    leaves: NDArray[np.int64]
    baseline: NDArray[np.int64]
    bits: int

    def round_features(self, X: NDArray[Any]) -> NDArray[np.int64]:
        """Round samples (N, D) to integers in [LOWEST, HIGHEST], or MISSING; categories to their codes."""
        rounded = round_affinely(to_single(X), self.offsets, self.scales)
        if self.ensemble.categories:
            # C compares float32 values with float32 categories
            single = {column: _single_categories(values) for column, values in self.ensemble.categories.items()}
            codes = replace(self.ensemble, categories=single).encode(to_single(X))
            for column in single:
                known = ~np.isnan(codes[:, column])
                rounded[:, column] = np.where(known, np.where(known, codes[:, column], 0), MISSING)
        return rounded

    def apply(self, rounded: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the leaf (N, trees) that rounded samples (N, D) reach in each tree."""
        values = np.where(rounded == MISSING, np.nan, rounded)
        return replace(self.ensemble, thresholds=self.thresholds.astype(np.float64)).apply(values)

    def sums(self, reached: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compute the integer sums (N, K) of the leaves (N, trees) that samples reach."""
        return sum_leaves(reached, self.leaves, self.ensemble.outputs, self.baseline)

    def decision_function(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Compute the values (N, K) of the sums of samples (N, D), before the link function."""
        values = np.empty((len(X), len(self.baseline)))
        for rows in blocks(len(X)):
            values[rows] = self.to_values(self.apply(self.round_features(X[rows])))
        return values

    def to_values(self, reached: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the values (N, K) of leaves (N, trees): sums by 2**bits, and by the number of trees for a mean."""
        values: NDArray[np.float64] = self.sums(reached) * 2.0**-self.bits / self.ensemble.divisor
        return values

    def count_inexact_thresholds(self, X: NDArray[Any]) -> int:
        """Count the thresholds, equal ones of a feature once, whose other child at least one sample (N, D) takes.

        Rounding keeps the order of values, so that only the two values of ``X`` next to a threshold are compared.
        """
        exact, count = self.ensemble, 0
        for column in np.unique(exact.features[exact.subsets < 0]):
            at = (exact.features == column) & (exact.subsets < 0)
            thresholds, first = np.unique(exact.thresholds[at], return_index=True)
            integers = self.thresholds[at][first]
            values = np.unique(X[:, column][~np.isnan(X[:, column])])
            rounded = round_affinely(to_single(values)[:, None], self.offsets[column], self.scales[column])[:, 0]
            above = np.searchsorted(values, thresholds, side="right")
            below_differs = np.append(LOWEST - 1, rounded)[above] > integers  # no value is below the first threshold
            above_differs = np.append(rounded, HIGHEST + 1)[above] <= integers
            count += int((below_differs | above_differs).sum())
        return count

    def bound(self) -> float:
        """Compute the largest possible error of a value of a sample that reaches the same leaves.

        Values are those of :meth:`to_values`, before the link function and before the normalization of the
        probabilities of a student of three or more classes.
        """
        exact = self.ensemble
        trees = leaves_of_trees(exact)
        centers = _centers(exact, trees)
        errors = np.abs(exact.baseline - self.baseline * 2.0**-self.bits + _sum_of_centers(exact, centers))
        for leaves, output, center in zip(trees, exact.outputs, centers, strict=True):
            rounding = exact.leaves[leaves] - center - self.leaves[leaves] * 2.0**-self.bits
            errors[output : output + len(center)] += np.abs(rounding).max(axis=0)
        return float(errors.max()) / exact.divisor


def round_affinely(X: NDArray[np.float32], offsets: NDArray[Any], scales: NDArray[Any]) -> NDArray[np.int64]:
    """Compute floor((X - offset) * scale) in float32, clipped to the integers of features; NaN becomes MISSING.

    The order of values is kept, but close values become equal.

    Example:
        >>> X = np.array([[0.0, np.nan], [0.5, 9e9]], dtype=np.float32)
        >>> round_affinely(X, np.float32([0, 0]), np.float32([100, 100])).tolist()
        [[-32767, -32768], [-32717, 32767]]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are clipped
        scaled = (X - np.asarray(offsets, dtype=np.float32)) * np.asarray(scales, dtype=np.float32)
    steps = np.clip(np.nan_to_num(scaled, nan=0), 0, STEPS).astype(np.int64)
    return np.where(np.isnan(scaled), MISSING, LOWEST + steps)


def to_fixed_point(ensemble: FlatEnsemble, X: NDArray[Any]) -> FixedPointEnsemble:
    """Round an ensemble to integers.

    The grid of a feature covers its thresholds only, since values outside are clipped without changing a comparison.
    A threshold is placed between the neighboring values of ``X`` where the grid separates them, and the grid of
    :data:`GRIDS` sizes that separates most is used.

    Args:
        ensemble: trees.
        X: samples (N, D), such as the training samples.
    """
    offsets, scales = np.zeros(ensemble.n_features, np.float32), np.zeros(ensemble.n_features, np.float32)
    thresholds = ensemble.subsets.copy()  # the row of a subset, for a split by categories
    down = round_down(ensemble.thresholds)
    for column in np.unique(ensemble.features[ensemble.subsets < 0]):
        at = (ensemble.features == column) & (ensemble.subsets < 0)
        values = np.unique(X[:, column][~np.isnan(X[:, column])])
        offset, steepest = _grid(down[at], values)
        tried = steepest * (1 - SHRINKAGE * np.arange(GRIDS))
        placements = [_place(ensemble.thresholds[at], values, offset, scale) for scale in tried]
        best = int(np.argmin([merged for _, merged in placements]))
        offsets[column], scales[column], thresholds[at] = offset, tried[best], placements[best][0]
    leaves, baseline, bits = _round_leaves(ensemble)
    return FixedPointEnsemble(ensemble, offsets, scales, thresholds, leaves, baseline, bits)


def to_single(X: NDArray[Any]) -> NDArray[np.float32]:
    """Convert samples to float32; numbers beyond its range become infinite."""
    with np.errstate(over="ignore"):
        return X.astype(np.float32)


def leaves_of_trees(ensemble: FlatEnsemble) -> list[NDArray[np.int64]]:
    """Return the leaves of each tree."""
    found = []
    for root in ensemble.roots.tolist():
        leaves, pending = [], [root]
        while pending:
            node = pending.pop()
            if node < 0:
                leaves.append(~node)
            else:
                pending += [int(ensemble.left[node]), int(ensemble.right[node])]
        found.append(np.array(sorted(leaves)))
    return found


def _single_categories(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype.kind in "biuf" else values


def _grid(thresholds: NDArray[np.float32], values: NDArray[Any]) -> tuple[float, float]:
    """Return offset and scale of a feature: the thresholds take the first to the last but two integers."""
    finite = np.unique(thresholds[np.isfinite(thresholds)]).astype(np.float64)
    if len(finite) == 0:
        return 0.0, 1.0
    first, last = finite[0], finite[-1]
    if last > first:
        return first, min((STEPS - 2) / (last - first), STEEPEST)
    above = values[values > first]
    gap = float(above[0]) - first if len(above) else max(abs(first), 1.0)
    # with one threshold, values above it need any larger integer
    return first, min(4 / gap, STEEPEST)


def _place(
    thresholds: NDArray[np.float64], values: NDArray[Any], offset: float, scale: float
) -> tuple[NDArray[np.int64], int]:
    """Return the integers of the thresholds of a feature, and the number of thresholds that merge their neighbors.

    A value equal to a float64 threshold may exceed it in float32, so values on both sides limit the integer.
    """

    def rounded(column: NDArray[Any]) -> NDArray[np.int64]:
        return round_affinely(to_single(column)[:, None], np.array(offset), np.array(scale))[:, 0]

    placed = rounded(round_down(thresholds))
    above = np.searchsorted(values, thresholds, side="right")
    has_above, has_below = above < len(values), above > 0
    placed[has_above] = np.minimum(placed[has_above], rounded(values[above[has_above]]) - 1)
    merged = has_below.copy()
    merged[has_below] = placed[has_below] < rounded(values[above[has_below] - 1])
    placed[has_below] = np.maximum(placed[has_below], rounded(values[above[has_below] - 1]))
    return np.where(np.isposinf(thresholds), HIGHEST, placed), int(merged.sum())


def _centers(ensemble: FlatEnsemble, trees: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return the middle of the leaf values of each tree (trees, values), which halves the range to round."""
    groups = [ensemble.leaves[leaves] for leaves in trees]
    return np.array([(group.max(axis=0) + group.min(axis=0)) / 2 for group in groups])


def _sum_of_centers(ensemble: FlatEnsemble, centers: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros(len(ensemble.baseline))
    for output, center in zip(ensemble.outputs, centers, strict=True):
        total[output : output + len(center)] += center
    return total


def _round_leaves(ensemble: FlatEnsemble) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return leaves, baseline and the largest number of fractional bits for which they and every sum fit."""
    trees = leaves_of_trees(ensemble)
    centers = _centers(ensemble, trees)
    start = ensemble.baseline + _sum_of_centers(ensemble, centers)
    centered, sums = ensemble.leaves.copy(), np.abs(start)
    for leaves, output, center in zip(trees, ensemble.outputs, centers, strict=True):
        centered[leaves] -= center
        sums[output : output + len(center)] += np.abs(centered[leaves]).max(axis=0)
    largest = float(np.abs(centered).max())
    by_leaf = np.log2(HIGHEST / largest) if largest > 0 else np.inf
    # rounding adds up to half a unit per tree
    by_sum = np.log2((LARGEST_SUM - len(ensemble.roots) - 1) / sums.max()) if sums.max() > 0 else 0.0
    bits = int(np.floor(min(by_leaf, by_sum)))
    baseline = np.rint(start * 2.0**bits).astype(np.int64)
    return np.rint(centered * 2.0**bits).astype(np.int64), baseline, bits
