"""Evaluate every tree size from a single best-first fit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities

TREE_LEAF, TREE_UNDEFINED = -1, -2
"""Child and feature of a leaf in scikit-learn's trees."""


@dataclass(frozen=True)
class TreeSize:
    """Parameters of :class:`sklearn.tree.DecisionTreeRegressor` that limit its size.

    Attributes:
        max_leaf_nodes: maximum number of leaves, at least 2.
        min_samples_leaf: minimum number of samples in a leaf, at least 1.
    """

    max_leaf_nodes: int
    min_samples_leaf: int


@dataclass(frozen=True)
class SizeCandidate:
    """A tree size with its score on held-out samples.

    Attributes:
        size: the tree size.
        bytes: size of the pickled student.
        score: metric on the held-out samples; higher is better.
    """

    size: TreeSize
    bytes: int
    score: float


def fit_best_first_tree(
    X: NDArray[Any],
    targets: NDArray[Any],
    size: TreeSize,
    seed: int,
    sample_weight: NDArray[np.float64] | None = None,
) -> StudentClassifier:
    """Fit one tree to all samples without bootstrap, best split first.

    Args:
        X: samples (N, D).
        targets: regression targets, see :func:`~ganmc_lightning.tabular.student.to_targets`.
        size: limits of the tree.
        seed: random seed for ties between splits.
        sample_weight: weights (N,); None weights all samples equally.
    """
    tree = DecisionTreeRegressor(
        max_leaf_nodes=size.max_leaf_nodes, min_samples_leaf=size.min_samples_leaf, random_state=seed
    )
    n_classes = 2 if targets.ndim == 1 else targets.shape[1]
    return StudentClassifier(tree.fit(X, targets, sample_weight), np.arange(n_classes))


def staged_predict_proba(
    student: StudentClassifier, X: NDArray[Any], max_leaf_nodes: Sequence[int]
) -> Iterator[NDArray[np.float64]]:
    """Predict with the first k leaves of a best-first tree, for each k.

    scikit-learn numbers the nodes in the order of the splits and stores a value in every node. The tree of k leaves
    is therefore the first ``2 k - 1`` nodes, and its prediction is the value of the last of these on a sample's path.

    Args:
        student: result of :func:`fit_best_first_tree`.
        X: samples (N, D).
        max_leaf_nodes: numbers of leaves k.

    Yields:
        Probabilities (N, K) for each k.
    """
    for values in staged_predict(student.regressor, X, max_leaf_nodes):
        yield to_probabilities(values)


def staged_predict(
    tree: DecisionTreeRegressor, X: NDArray[Any], max_leaf_nodes: Sequence[int]
) -> Iterator[NDArray[np.float64]]:
    """Predict the values (N,), or (N, K) for K outputs, as :func:`staged_predict_proba` does with probabilities."""
    path = tree.decision_path(X)  # sparse (N, nodes); node numbers ascend within a row
    values = tree.tree_.value[:, :, 0]
    for k in max_leaf_nodes:
        depth = np.add.reduceat(path.indices < 2 * k - 1, path.indptr[:-1], dtype=np.int64)
        last = values[path.indices[path.indptr[:-1] + depth - 1]]
        yield last[:, 0] if last.shape[1] == 1 else last


def first_leaves(tree: DecisionTreeRegressor, max_leaf_nodes: int) -> DecisionTreeRegressor:
    """Return the first k leaves of a best-first tree, equal to a fit with ``max_leaf_nodes=k``.

    Args:
        tree: fitted tree with ``max_leaf_nodes``.
        max_leaf_nodes: number of leaves k, at least 2 and at most that of the tree.

    Example:
        >>> X, targets = np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 0.5, 0.5, 1, 0.5])
        >>> tree = DecisionTreeRegressor(max_leaf_nodes=4).fit(X, targets)
        >>> [int(first_leaves(tree, k).get_n_leaves()) for k in (2, 3)]
        [2, 3]
    """
    smaller = copy.copy(tree).set_params(max_leaf_nodes=max_leaf_nodes)
    tree_class, arguments, state = smaller.tree_.__reduce__()
    count = min(2 * max_leaf_nodes - 1, state["node_count"])
    nodes = state["nodes"][:count].copy()
    leaf = nodes["left_child"] >= count  # the children are a pair of successive numbers
    for field in ("left_child", "right_child", "feature", "threshold"):
        nodes[field][leaf] = TREE_LEAF if field.endswith("child") else TREE_UNDEFINED
    depth, level = 0, np.zeros(1, dtype=np.int64)
    while len(level := np.concatenate([nodes["left_child"][level], nodes["right_child"][level]])):
        level = level[level != TREE_LEAF]
        depth += len(level) > 0
    smaller.tree_ = tree_class(*arguments)
    smaller.tree_.__setstate__(
        {"max_depth": depth, "node_count": count, "nodes": nodes, "values": state["values"][:count].copy()}
    )
    return smaller


def staged_sizes(student: StudentClassifier, max_leaf_nodes: Sequence[int]) -> list[int]:
    """Compute the pickled bytes of the students that :func:`staged_predict_proba` predicts with."""
    tree = student.regressor.tree_
    node = tree.__getstate__()["nodes"].itemsize + tree.value[0].nbytes
    total = len(pickle.dumps(student))
    return [total - node * max(0, tree.node_count - (2 * k - 1)) for k in max_leaf_nodes]


def staged_scores(
    student: StudentClassifier,
    X: NDArray[Any],
    y: NDArray[np.int64],
    max_leaf_nodes: Sequence[int],
    metric: Callable[[NDArray[np.int64], NDArray[np.float64]], float],
) -> list[SizeCandidate]:
    """Score every size of a best-first tree.

    Args:
        student: result of :func:`fit_best_first_tree`.
        X: held-out samples (N, D).
        y: labels (N,).
        max_leaf_nodes: numbers of leaves.
        metric: function of labels and probabilities; higher is better.
    """
    min_samples_leaf = student.regressor.min_samples_leaf
    staged = staged_predict_proba(student, X, max_leaf_nodes)
    return [
        SizeCandidate(TreeSize(k, min_samples_leaf), size, metric(y, probabilities))
        for k, size, probabilities in zip(max_leaf_nodes, staged_sizes(student, max_leaf_nodes), staged, strict=True)
    ]


def select_size(candidates: Sequence[SizeCandidate], max_bytes: float = np.inf) -> SizeCandidate:
    """Select the best score within ``max_bytes``, the smaller of ties; the smallest candidate where none fits.

    Example:
        >>> candidates = [SizeCandidate(TreeSize(5, 1), 900, 0.8), SizeCandidate(TreeSize(50, 1), 4000, 0.9)]
        >>> select_size(candidates).size.max_leaf_nodes, select_size(candidates, max_bytes=1000).size.max_leaf_nodes
        (50, 5)
    """
    fitting = [candidate for candidate in candidates if candidate.bytes <= max_bytes]
    if not fitting:
        return min(candidates, key=lambda candidate: candidate.bytes)
    return max(fitting, key=lambda candidate: (candidate.score, -candidate.bytes))
