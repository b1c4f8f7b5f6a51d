"""A tree of every size from one growth, so that a size can be chosen on held-out rows."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities


@dataclass(frozen=True)
class TreeSize:
    """How far a tree may grow.

    Attributes:
        leaf_nodes: most leaves.
        min_samples_leaf: fewest rows in a leaf.
    """

    leaf_nodes: int
    min_samples_leaf: int


@dataclass(frozen=True)
class SizeCandidate:
    """One tree size and what it achieved on held-out rows.

    Attributes:
        capacity: the size.
        bytes: of the student of that size, pickled.
        score: the higher the better.
    """

    capacity: TreeSize
    bytes: int
    score: float


def grow(
    rows: NDArray[Any],
    targets: NDArray[Any],
    capacity: TreeSize,
    seed: int,
    weights: NDArray[np.float64] | None = None,
) -> StudentClassifier:
    """Fit one tree on all rows (no bootstrap), the most useful split first.

    Args:
        rows: (N, D).
        targets: as :func:`~ganmc_lightning.tabular.student.to_targets` makes them.
        capacity: where it ends.
        seed: breaks ties between splits.
        weights: of the rows (N,); None where all count alike.
    """
    tree = DecisionTreeRegressor(
        max_leaf_nodes=capacity.leaf_nodes, min_samples_leaf=capacity.min_samples_leaf, random_state=seed
    )
    outputs = 2 if targets.ndim == 1 else targets.shape[1]
    return StudentClassifier(tree.fit(rows, targets, weights), np.arange(outputs))


def staged_predict_proba(
    student: StudentClassifier, rows: NDArray[Any], leaf_nodes: Sequence[int]
) -> Iterator[NDArray[np.float64]]:
    """What :func:`grow` would have answered with fewer leaves, without growing again.

    scikit-learn numbers the nodes in the order in which it splits the best leaf, and gives every node its value. So the
    tree of k leaves is the first ``2 k - 1`` nodes of a larger one, and its answer is the last of these that a row
    passes.

    Args:
        student: made by :func:`grow`.
        rows: (N, D).
        leaf_nodes: the sizes k.

    Yields:
        Probabilities (N, K) for each size.
    """
    tree = student.regressor
    passed = tree.decision_path(rows)  # sparse (N, nodes); along a row the numbers rise
    values = tree.tree_.value[:, :, 0]
    for k in leaf_nodes:
        within = np.add.reduceat(passed.indices < 2 * k - 1, passed.indptr[:-1], dtype=np.int64)
        last = values[passed.indices[passed.indptr[:-1] + within - 1]]
        yield to_probabilities(last[:, 0] if last.shape[1] == 1 else last)


def staged_sizes(student: StudentClassifier, leaf_nodes: Sequence[int]) -> list[int]:
    """Pickled bytes of the students that :func:`staged_predict_proba` speaks for; no size is beyond the grown one."""
    tree = student.regressor.tree_
    node = tree.__getstate__()["nodes"].itemsize + tree.value[0].nbytes
    whole = len(pickle.dumps(student))
    return [whole - node * max(0, tree.node_count - (2 * k - 1)) for k in leaf_nodes]


def staged_scores(
    student: StudentClassifier,
    held_out: tuple[NDArray[Any], NDArray[np.int64]],
    leaf_nodes: Sequence[int],
    score: Callable[[NDArray[np.int64], NDArray[np.float64]], float],
) -> list[SizeCandidate]:
    """Score every size of a grown tree.

    Args:
        student: made by :func:`grow`.
        held_out: rows and labels.
        leaf_nodes: the sizes.
        score: of labels and probabilities.
    """
    rows, labels = held_out
    fewest = student.regressor.min_samples_leaf
    answers = staged_predict_proba(student, rows, leaf_nodes)
    return [
        SizeCandidate(TreeSize(k, fewest), size, score(labels, answer))
        for k, size, answer in zip(leaf_nodes, staged_sizes(student, leaf_nodes), answers, strict=True)
    ]


def choose(candidates: Sequence[SizeCandidate], most_bytes: float = np.inf) -> SizeCandidate:
    """The best score among the candidates of at most so many bytes, the smaller of equals; else the smallest of all."""
    fitting = [candidate for candidate in candidates if candidate.bytes <= most_bytes]
    if not fitting:
        return min(candidates, key=lambda candidate: candidate.bytes)
    return max(fitting, key=lambda candidate: (candidate.score, -candidate.bytes))
