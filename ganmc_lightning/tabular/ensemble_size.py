"""The first trees of a forest: one fit for a whole curve over their number."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities

REPEATS = 3


@dataclass(frozen=True)
class Curve:
    """A forest student with 1, 2, 3, ... trees; every list has one entry a number of trees.

    Attributes:
        trees: 1, 2, 3, ...
        score: the metric on the test rows.
        bytes: of its trees, pickled.
        seconds: its trees take for one batch.
    """

    trees: list[int]
    score: list[float]
    bytes: list[int]
    seconds: list[float]


def prefix(forest: RandomForestRegressor, trees: int) -> StudentClassifier:
    """The student that has the first trees of a fitted forest: what fewer trees with the same seed would be."""
    part = copy.copy(forest)
    part.n_estimators = trees
    part.estimators_ = forest.estimators_[:trees]
    return StudentClassifier(part, np.arange(max(2, forest.n_outputs_)))


def measure_ensemble_curve(
    forest: RandomForestRegressor,
    rows: NDArray[np.float64],
    labels: NDArray[np.int64],
    batch: NDArray[np.float64],
    score: Callable[[NDArray[np.int64], NDArray[np.float64]], float],
) -> Curve:
    """Score a forest's first trees, whatever their number.

    Args:
        forest: fitted.
        rows: test rows (N, D).
        labels: 0..K-1 (N,).
        batch: rows to time.
        score: of labels and probabilities.
    """
    numbers = np.arange(1, len(forest.estimators_) + 1)
    sums = np.cumsum([tree.predict(rows) for tree in forest.estimators_], axis=0)
    scores = [score(labels, to_probabilities(total / number)) for total, number in zip(sums, numbers, strict=True)]
    sizes = np.cumsum([len(pickle.dumps(tree)) for tree in forest.estimators_])
    seconds = np.cumsum([min(_seconds(tree.predict, batch) for _ in range(REPEATS)) for tree in forest.estimators_])
    return Curve(numbers.tolist(), scores, sizes.tolist(), seconds.tolist())


def _seconds(predict: Callable[[NDArray[np.float64]], object], batch: NDArray[np.float64]) -> float:
    started = time.perf_counter()
    predict(batch)
    return time.perf_counter() - started
