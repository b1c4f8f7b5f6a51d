"""What a model costs: trees, nodes, bytes and seconds."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import BaseEnsemble
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

from ganmc_lightning.tabular.student import StudentClassifier

BATCH = 5_000
"""Rows in the batch that predictions are timed on, where there are so many."""


@dataclass(frozen=True)
class Cost:
    """What one model costs.

    Attributes:
        trees: how many; None for a model that is not made of scikit-learn's trees.
        nodes: of all trees, leaves included; None likewise.
        bytes: pickled; None for a model that cannot be.
        seconds: for the predictions of one batch.
    """

    trees: int | None
    nodes: int | None
    bytes: int | None
    seconds: float


@dataclass(frozen=True)
class Compression:
    """A student's cost against its teacher's.

    Attributes:
        teacher: cost of the teacher.
        student: cost of the student alone.
        rows: in the batch that was timed.
    """

    teacher: Cost
    student: Cost
    rows: int

    @property
    def compression_ratio(self) -> float:
        """How many times fewer bytes the student has; NaN where a size is not known."""
        if self.teacher.bytes is None or self.student.bytes is None:
            return float("nan")
        return self.teacher.bytes / self.student.bytes

    @property
    def speedup(self) -> float:
        """How many times faster the student predicts the batch."""
        return self.teacher.seconds / self.student.seconds


def trees_of(model: Any) -> list[BaseDecisionTree] | None:
    """All trees of a fitted scikit-learn model in their order; None where it is made of anything else."""
    if isinstance(model, BaseDecisionTree):
        return [model]
    if isinstance(model, StudentClassifier):
        return trees_of(model.regressor)
    if isinstance(model, Pipeline):
        return trees_of(model.steps[-1][1])
    if not isinstance(model, BaseEnsemble | MultiOutputRegressor):
        return None
    found: list[BaseDecisionTree] = []
    members = model.estimators_
    for member in members.flat if isinstance(members, np.ndarray) else members:  # boosting has a table of them
        trees = trees_of(member)
        if trees is None:
            return None
        found += trees
    return found


def profile_model(model: Any, predict: Callable[[Any], object], batch: Any, repeats: int = 3) -> Cost:
    """Count, pickle and time a fitted model, on as many threads as its ``n_jobs`` says.

    Args:
        model: any estimator.
        predict: its method to time.
        batch: the rows (N, D).
        repeats: the least of so many times counts, for whatever else runs can only add to it.
    """
    trees = trees_of(model)
    nodes = None if trees is None else sum(int(tree.tree_.node_count) for tree in trees)
    seconds = min(_seconds(predict, batch) for _ in range(repeats))
    return Cost(None if trees is None else len(trees), nodes, _pickled_size(model), seconds)


def batch_of(rows: NDArray[Any], size: int = BATCH) -> NDArray[Any]:
    """The first ``size`` rows, repeated from the start where there are fewer."""
    return rows[np.arange(size) % len(rows)]


def _pickled_size(model: Any) -> int | None:
    try:
        return len(pickle.dumps(model))
    except (pickle.PicklingError, AttributeError, TypeError):  # of another's class, or with an open file in it
        return None


def _seconds(predict: Callable[[Any], object], batch: Any) -> float:
    started = time.perf_counter()
    predict(batch)
    return time.perf_counter() - started
