"""Sums of decision trees as flat arrays: inner nodes, leaves and category subsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from ganmc_lightning.tabular.export.arrays import FlatTrees

Link = Literal["identity", "sigmoid", "softmax", "exp"]
ROWS = 10_000
"""Samples whose leaves are computed at once: those of a whole table would take 8 bytes per sample and tree."""


@dataclass(frozen=True)
class FlatEnsemble:
    """Trees whose leaves are added to a baseline, in float64.

    A child is the index of an inner node, or ``~leaf`` for a leaf.

    Attributes:
        thresholds: float64 (nodes,); infinity where only NaN takes the right child, 0 for a split by categories.
        features: int (nodes,).
        missing_left: bool (nodes,), whether NaN and unknown categories take the left child.
        subsets: int (nodes,), row of ``goes_left``, or -1 for a split by a threshold.
        left: int (nodes,), the left child.
        right: int (nodes,), the right child.
        roots: int (trees,), the first node or only leaf of each tree.
        outputs: int (trees,), column of the first value of the leaves.
        leaves: float64 (leaves, values).
        baseline: float64 (K,).
        divisor: number that the sums are divided by: the number of trees for a mean, else 1.
        link: function of the sums.
        goes_left: bool (subsets, categories), whether a category takes the left child.
        categories: category values of each categorical feature, in the order of their codes.
        n_features: number of features D.
    """

    thresholds: NDArray[np.float64]
    features: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    subsets: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    roots: NDArray[np.int64]
    outputs: NDArray[np.int64]
    leaves: NDArray[np.float64]
    baseline: NDArray[np.float64]
    divisor: int
    link: Link
    goes_left: NDArray[np.bool_]
    categories: dict[int, NDArray[Any]]
    n_features: int

    def encode(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Replace categories of samples (N, D) by their codes; unknown categories become NaN."""
        encoded = np.array(X, dtype=np.float64)
        for column, values in self.categories.items():
            codes = encoded[:, column]
            if is_text(values):  # the samples contain codes
                known = np.isin(codes, np.arange(len(values)))
                encoded[:, column] = np.where(known, codes, np.nan)
            else:
                at = np.minimum(np.searchsorted(values, codes), len(values) - 1)
                encoded[:, column] = np.where(values[at] == codes, at, np.nan)
        return encoded

    def apply(self, X: NDArray[Any]) -> NDArray[np.int64]:
        """Return the leaf (N, trees) that encoded samples (N, D) reach in each tree."""
        index = np.arange(len(X))
        reached = np.empty((len(X), len(self.roots)), dtype=np.int64, order="F")
        for tree, root in enumerate(self.roots):
            node = np.full(len(X), root)
            while (inner := node >= 0).any():
                at = np.where(inner, node, 0)
                child = np.where(self._takes_left(at, X[index, self.features[at]]), self.left[at], self.right[at])
                node = np.where(inner, child, node)
            reached[:, tree] = ~node
        return reached

    def decision_function(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Compute the sums (N, K), divided by ``divisor``, of samples (N, D), in the order of the trees."""
        values = np.empty((len(X), len(self.baseline)))
        for rows in blocks(len(X)):
            values[rows] = self.to_values(self.apply(self.encode(X[rows])))
        return values

    def to_values(self, reached: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the sums (N, K), divided by ``divisor``, of the leaves (N, trees) that samples reach."""
        values: NDArray[np.float64] = sum_leaves(reached, self.leaves, self.outputs, self.baseline) / self.divisor
        return values

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Predict probabilities (N, classes) or values (N, K) of samples (N, D)."""
        return apply_link(self.link, self.decision_function(X))

    def _takes_left(self, node: NDArray[np.int64], value: NDArray[Any]) -> NDArray[np.bool_]:
        left = np.where(np.isnan(value), self.missing_left[node], value <= self.thresholds[node])
        subset = self.subsets[node]
        by_category = (subset >= 0) & ~np.isnan(value)
        if by_category.any():
            left[by_category] = self.goes_left[subset[by_category], value[by_category].astype(np.int64)]
        return left


def blocks(count: int) -> Iterator[slice]:
    """Yield slices of :data:`ROWS` samples that cover ``count`` samples.

    Example:
        >>> list(blocks(15_000))
        [slice(0, 10000, None), slice(10000, 20000, None)]
    """
    return (slice(start, start + ROWS) for start in range(0, count, ROWS))


def sum_leaves(
    reached: NDArray[np.int64], leaves: NDArray[Any], outputs: NDArray[np.int64], baseline: NDArray[Any]
) -> NDArray[Any]:
    """Add the leaves (N, trees) that samples reach to a baseline (K,), in the order of the trees.

    Args:
        reached: row in ``leaves`` per sample and tree (N, trees).
        leaves: values of the leaves (leaves, values).
        outputs: column of the first value of the leaves of each tree (trees,).
        baseline: start of the sums (K,).

    Returns:
        Sums (N, K).
    """
    total = np.tile(baseline, (len(reached), 1))
    for tree, output in enumerate(outputs):
        total[:, output : output + leaves.shape[1]] += leaves[reached[:, tree]]
    return total


def apply_link(link: Link, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert sums (N, K) to probabilities; the identity returns the sums.

    Example:
        >>> apply_link("sigmoid", np.array([[0.0]])).tolist(), apply_link("identity", np.array([[3.0]])).tolist()
        ([[0.5, 0.5]], [[3.0]])
    """
    if link == "sigmoid":
        second = expit(sums[:, 0])
        return np.stack([1 - second, second], axis=1)
    values: NDArray[np.float64] = softmax(sums, axis=1) if link == "softmax" else sums
    return values


def is_text(values: NDArray[Any]) -> bool:
    """Return whether categories are no numbers; samples then contain their codes from 0."""
    return values.dtype.kind not in "biuf"


def to_ensemble(trees: FlatTrees, n_features: int) -> FlatEnsemble:
    """Convert the trees of a forest, whose leaves are averaged."""
    inner = trees.features >= 0
    # the new index of an inner node, or the complement of a leaf's row
    child = np.where(inner, np.cumsum(inner) - 1, ~trees.left)
    return FlatEnsemble(
        thresholds=trees.thresholds[inner].astype(np.float64),
        features=trees.features[inner],
        missing_left=trees.missing_left[inner],
        subsets=np.full(int(inner.sum()), -1),
        left=child[trees.left[inner]],
        right=child[trees.right[inner]],
        roots=child[trees.roots],
        outputs=np.zeros(len(trees.roots), dtype=np.int64),
        leaves=trees.leaves,
        baseline=np.zeros(trees.leaves.shape[1]),
        divisor=len(trees.roots),
        link="identity",
        goes_left=np.zeros((0, 0), dtype=bool),
        categories={},
        n_features=n_features,
    )
