"""The nodes of fitted trees as arrays, with thresholds in float32."""

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
"""Single extra trees are of these types too. The answer of each of them is a mean over trees."""


@dataclass(frozen=True)
class Arrays:
    """All trees of a model, one after another.

    Attributes:
        thresholds: float32 (nodes,), rounded down; infinity where only NaN goes right.
        features: int (nodes,), -1 for a leaf.
        missing_left: bool (nodes,), whether NaN goes left.
        left: int (nodes,), the left child, or the number of a leaf's values.
        right: int (nodes,), the right child.
        roots: int (trees,), where each tree begins.
        leaves: float64 (leaves, values).
    """

    thresholds: NDArray[np.float32]
    features: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    roots: NDArray[np.int64]
    leaves: NDArray[np.float64]

    def mean(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean over the trees of the values (N, values) that rows (N, D) reach, summed in their order."""
        total = np.zeros((len(rows), self.leaves.shape[1]))
        everyone = np.arange(len(rows))
        for root in self.roots:
            node = np.full(len(rows), root)
            while (inner := self.features[node] >= 0).any():
                value = rows[everyone, self.features[node]]
                goes_left = (value <= self.thresholds[node]) | (np.isnan(value) & self.missing_left[node])
                node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
            total += self.leaves[self.left[node]]
        mean: NDArray[np.float64] = total / len(self.roots)
        return mean


def flatten(trees: Iterable[Any]) -> Arrays:
    """Put fitted trees of scikit-learn into common arrays."""
    columns: list[tuple[NDArray[Any], ...]] = []
    roots, nodes, leaves = [], 0, 0
    for estimator in trees:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        number = leaves + np.cumsum(leaf) - 1
        values = tree.value.transpose(0, 2, 1).reshape(tree.node_count, -1)  # one output of K classes, or K outputs
        columns.append(
            (
                np.where(leaf, np.float32(0), round_down(tree.threshold)),
                np.where(leaf, -1, tree.feature),
                np.where(leaf, False, tree.missing_go_to_left.astype(bool)),
                np.where(leaf, number, tree.children_left + nodes),
                np.where(leaf, 0, tree.children_right + nodes),
                values[leaf],
            )
        )
        roots.append(nodes)
        nodes += tree.node_count
        leaves += int(leaf.sum())
    thresholds, features, missing, left, right, held = (np.concatenate(arrays) for arrays in zip(*columns, strict=True))
    return Arrays(thresholds, features, missing, left, right, np.asarray(roots), held)


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold.

    scikit-learn compares float32 values with float64 thresholds; ``x <= threshold`` is ``x <= round_down(threshold)``
    for every float32 x, infinities and subnormal numbers included. Rounded to the nearest, a threshold may pass a
    value that lies between the two.

    Example:
        >>> value, threshold = np.float32(0.1), np.array([0.1])
        >>> bool(value > threshold), bool(value > threshold.astype(np.float32)), bool(value > round_down(threshold))
        (True, False, True)
    """
    with np.errstate(over="ignore", under="ignore"):  # beyond float32 is an infinity, which is rounded down below
        nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
