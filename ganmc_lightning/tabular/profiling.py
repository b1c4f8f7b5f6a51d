"""Size and speed of fitted models: trees, nodes, bytes and seconds."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import BaseEnsemble, HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree
from threadpoolctl import threadpool_limits

from ganmc_lightning.tabular.student import StudentClassifier

BATCH = 5_000
"""Samples in the batch that predictions are timed on, or all samples where there are fewer."""


@dataclass(frozen=True)
class ModelProfile:
    """Size and speed of one model.

    Attributes:
        trees: number of trees; None for a model that does not consist of trees of scikit-learn, XGBoost or LightGBM.
        nodes: number of nodes of all trees, leaves included; None as for ``trees``.
        bytes: size of the pickled model; None for a model that cannot be pickled.
        seconds: time to predict one batch.
    """

    trees: int | None
    nodes: int | None
    bytes: int | None
    seconds: float


@dataclass(frozen=True)
class CompressionProfile:
    """Size and speed of a student relative to its teacher.

    Attributes:
        teacher: profile of the teacher.
        student: profile of the student.
        n_samples: number of samples in the batch that was timed.

    Example:
        >>> CompressionProfile(ModelProfile(500, 9000, 70_000, 0.4), ModelProfile(1, 30, 700, 0.1), 5000).speedup
        4.0
    """

    teacher: ModelProfile
    student: ModelProfile
    n_samples: int

    @property
    def compression_ratio(self) -> float:
        """Bytes of the teacher divided by bytes of the student; NaN where one of them is None."""
        if self.teacher.bytes is None or self.student.bytes is None:
            return float("nan")
        return self.teacher.bytes / self.student.bytes

    @property
    def speedup(self) -> float:
        """Prediction time of the teacher divided by that of the student."""
        return self.teacher.seconds / self.student.seconds


def trees_of(model: Any) -> list[BaseDecisionTree] | None:
    """Return all trees of a fitted scikit-learn model in order; None where it has other components.

    Example:
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> len(trees_of(RandomForestRegressor(3).fit([[0], [1]], [0, 1])))
        3
    """
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
    for member in members.flat if isinstance(members, np.ndarray) else members:  # boosting has a 2-d array of them
        trees = trees_of(member)
        if trees is None:
            return None
        found += trees
    return found


def tree_nodes(model: Any) -> list[int] | None:
    """Return the number of nodes of each tree, leaves included; None where the model has other components.

    Args:
        model: fitted model of scikit-learn, XGBoost or LightGBM.

    Example:
        >>> from sklearn.ensemble import HistGradientBoostingRegressor
        >>> boosting = HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=1, max_leaf_nodes=2)
        >>> tree_nodes(boosting.fit([[0], [1]], [0, 1]))
        [3, 3]
    """
    if isinstance(model, StudentClassifier):
        return tree_nodes(model.regressor)
    if isinstance(model, Pipeline):
        return tree_nodes(model.steps[-1][1])
    if isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return [len(tree.nodes) for iteration in model._predictors for tree in iteration]
    if hasattr(model, "get_booster"):  # XGBoost; one line of text per node
        return [text.count("\n") for text in model.get_booster().get_dump()]
    if hasattr(model, "booster_"):  # LightGBM; binary trees
        return [2 * tree["num_leaves"] - 1 for tree in model.booster_.dump_model()["tree_info"]]
    if isinstance(model, MultiOutputRegressor):
        parts = [tree_nodes(member) for member in model.estimators_]
        known = [part for part in parts if part is not None]
        return [nodes for part in known for nodes in part] if len(known) == len(parts) else None
    trees = trees_of(model)
    return None if trees is None else [int(tree.tree_.node_count) for tree in trees]


def pickled_bytes(model: Any) -> int | None:
    """Return the size of the pickled model; None for a model that cannot be pickled."""
    try:
        return len(pickle.dumps(model))
    except (pickle.PicklingError, AttributeError, TypeError):  # a local class, or an attribute such as an open file
        return None


def profile_model(model: Any, predict: Callable[[Any], object], batch: Any, repeats: int = 3) -> ModelProfile:
    """Measure size and prediction time of a fitted model, with the model's own ``n_jobs``.

    Args:
        model: fitted estimator.
        predict: method of the estimator to time.
        batch: samples (N, D).
        repeats: number of timed calls (default: 3); the minimum is reported, as other processes only add time.
    """
    nodes = tree_nodes(model)
    seconds = min(time_call(predict, batch) for _ in range(repeats))
    if nodes is None:
        return ModelProfile(None, None, pickled_bytes(model), seconds)
    return ModelProfile(len(nodes), sum(nodes), pickled_bytes(model), seconds)


def seconds_per_row(predict: Callable[[Any], object], X: NDArray[Any], repeats: int = 5) -> float:
    """Measure the prediction time of a row on one thread: that of a batch of 5,000 rows, divided by 5,000.

    Args:
        predict: method of an estimator to time; one with ``n_jobs`` uses its own number of threads.
        X: rows (N, D), repeated cyclically or cut to a batch.
        repeats: number of timed calls (default: 5); the minimum is returned, as other processes only add time.
    """
    batch = batch_of(X)
    with threadpool_limits(1):
        return min(time_call(predict, batch) for _ in range(repeats)) / len(batch)


def time_call(predict: Callable[[Any], object], batch: Any) -> float:
    """Measure the wall-clock seconds of one call."""
    started = time.perf_counter()
    predict(batch)
    return time.perf_counter() - started


def batch_of(X: NDArray[Any], size: int = BATCH) -> NDArray[Any]:
    """Return the first ``size`` samples, repeated cyclically where there are fewer.

    Example:
        >>> batch_of(np.array([[1], [2]]), 3).tolist()
        [[1], [2], [1]]
    """
    return X[np.arange(size) % len(X)]
