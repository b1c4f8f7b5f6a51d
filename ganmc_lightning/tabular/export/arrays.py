"""Nodes of fitted trees as flat arrays, with float32 thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
TREES = (DecisionTreeClassifier, DecisionTreeRegressor)
"""Models that predict a mean over trees. Single extra trees are subclasses of the latter types."""


@dataclass(frozen=True)
class FlatTrees:
    """Nodes of all trees of a model, concatenated.

    Attributes:
        thresholds: float32 (nodes,), rounded down; infinity where only NaN takes the right child.
        features: int (nodes,), -1 for a leaf.
        missing_left: bool (nodes,), whether NaN takes the left child.
        left: int (nodes,), the left child, or the row of a leaf in ``leaves``.
        right: int (nodes,), the right child.
        roots: int (trees,), index of the first node of each tree.
        leaves: float64 (leaves, values).
    """

    thresholds: NDArray[np.float32]
    features: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    roots: NDArray[np.int64]
    leaves: NDArray[np.float64]

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict the mean over the trees (N, values) of samples (N, D), summed in the order of the trees."""
        total = np.zeros((len(X), self.leaves.shape[1]))
        index = np.arange(len(X))
        for root in self.roots:
            node = np.full(len(X), root)
            while (inner := self.features[node] >= 0).any():
                value = X[index, self.features[node]]
                left = (value <= self.thresholds[node]) | (np.isnan(value) & self.missing_left[node])
                node = np.where(inner, np.where(left, self.left[node], self.right[node]), node)
            total += self.leaves[self.left[node]]
        mean: NDArray[np.float64] = total / len(self.roots)
        return mean


def flatten(trees: Iterable[Any]) -> FlatTrees:
    """Concatenate the nodes of fitted scikit-learn trees."""
    blocks: list[tuple[NDArray[Any], ...]] = []
    roots, n_nodes, n_leaves = [], 0, 0
    for estimator in trees:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        number = n_leaves + np.cumsum(leaf) - 1
        values = tree.value.transpose(0, 2, 1).reshape(tree.node_count, -1)  # one output of K classes, or K outputs
        blocks.append(
            (
                np.where(leaf, np.float32(0), round_down(tree.threshold)),
                np.where(leaf, -1, tree.feature),
                np.where(leaf, False, tree.missing_go_to_left.astype(bool)),
                np.where(leaf, number, tree.children_left + n_nodes),
                np.where(leaf, 0, tree.children_right + n_nodes),
                values[leaf],
            )
        )
        roots.append(n_nodes)
        n_nodes += tree.node_count
        n_leaves += int(leaf.sum())
    thresholds, features, missing, left, right, leaves = (
        np.concatenate(arrays) for arrays in zip(*blocks, strict=True)
    )
    return FlatTrees(thresholds, features, missing, left, right, np.asarray(roots), leaves)


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round thresholds down to float32.

    scikit-learn compares float32 values with float64 thresholds. ``x <= threshold`` equals
    ``x <= round_down(threshold)`` for every float32 x, infinities and subnormal numbers included. Rounding to the
    nearest float32 may exceed the threshold.

    Example:
        >>> value, threshold = np.float32(0.1), np.array([0.1])
        >>> bool(value > threshold), bool(value > threshold.astype(np.float32)), bool(value > round_down(threshold))
        (True, False, True)
    """
    with np.errstate(over="ignore", under="ignore"):  # values beyond float32 become infinite and are rounded down below
        nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
