"""Evaluate every number of trees from a single fit of a forest."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from ganmc_lightning.tabular.profiling import time_call
from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities

REPEATS = 3


@dataclass(frozen=True)
class EnsembleCurve:
    """Score, size and speed of a forest student over its number of trees.

    Attributes:
        trees: 1, 2, 3, ...
        score: metric on the test samples, per number of trees.
        bytes: pickled size of the trees.
        seconds: time of the trees to predict one batch.
    """

    trees: list[int]
    score: list[float]
    bytes: list[int]
    seconds: list[float]


def first_trees(forest: RandomForestRegressor, n_trees: int) -> StudentClassifier:
    """Return the student with the first trees of a fitted forest, equal to a smaller forest of that seed."""
    smaller = copy.copy(forest)
    smaller.n_estimators = n_trees
    smaller.estimators_ = forest.estimators_[:n_trees]
    return StudentClassifier(smaller, np.arange(max(2, forest.n_outputs_)))


def measure_ensemble_curve(
    forest: RandomForestRegressor,
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    batch: NDArray[np.float64],
    metric: Callable[[NDArray[np.int64], NDArray[np.float64]], float],
) -> EnsembleCurve:
    """Measure score, size and speed of the first 1, 2, 3, ... trees of a forest.

    Args:
        forest: fitted forest.
        X: test samples (N, D).
        y: labels (N,) in 0..K-1.
        batch: samples to time.
        metric: function of labels and probabilities.
    """
    trees = forest.estimators_
    counts = np.arange(1, len(trees) + 1)
    sums = np.cumsum([tree.predict(X) for tree in trees], axis=0)
    scores = [metric(y, to_probabilities(total / count)) for total, count in zip(sums, counts, strict=True)]
    sizes = np.cumsum([len(pickle.dumps(tree)) for tree in trees])
    seconds = np.cumsum([min(time_call(tree.predict, batch) for _ in range(REPEATS)) for tree in trees])
    return EnsembleCurve(counts.tolist(), scores, sizes.tolist(), seconds.tolist())
