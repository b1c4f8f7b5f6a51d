"""Kinds of students and the sizes of each that fit into a number of nodes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.student import student_probabilities, to_probabilities
from ganmc_lightning.tabular.tree_size import first_leaves, staged_predict

DEFAULT_MIN_NODES, DEFAULT_MAX_NODES = 99, 10_000
"""Where ``max_nodes`` is None, students have at most one node per row, but at least and at most these limits."""
TREE_STAGES, BOOSTING_STAGES = 16, 3
"""Sizes that are scored from one fit; few for boosting, as scores of few rows favor few iterations by chance."""
LEAVES = (4, 8, 16)
LEARNING_RATES = (0.2, 0.4)
MIN_ITERATIONS, MAX_ITERATIONS = 8, 400


class StudentStage(NamedTuple):
    """A fitted student, or a smaller one that is part of it.

    Attributes:
        estimator: unfitted estimator of this size.
        predictions: probabilities (N, K), or values (N,) of a regression.
        fitted: fitted student of this size.
    """

    estimator: Any
    predictions: NDArray[np.float64]
    fitted: Any


class StudentKind(ABC):
    """Students of one kind in several sizes.

    Attributes:
        name: name in reports and error messages.
    """

    name: str

    @abstractmethod
    def estimators(self, n_classes: int, max_nodes: int, n_rows: int) -> list[Any]:
        """Return unfitted estimators of at most ``max_nodes`` nodes; none where the smallest has more.

        Args:
            n_classes: number of classes; 0 for regression.
            max_nodes: maximum number of nodes of all trees.
            n_rows: number of real rows.
        """

    def smallest_nodes(self, n_classes: int) -> int:
        """Return the least number of nodes of a student."""
        return next(nodes for nodes in range(1, DEFAULT_MAX_NODES) if self.estimators(n_classes, nodes, 1000))

    def stages(self, fitted: Any, X: NDArray[Any], n_classes: int) -> Iterator[StudentStage]:
        """Predict with a fitted student of :meth:`estimators`, and with the smaller ones that it contains."""
        yield StudentStage(clone(fitted), predict_outputs(fitted, X, n_classes), fitted)


class TreeKind(StudentKind):
    """One tree, grown best split first.

    Example:
        >>> [tree.max_leaf_nodes for tree in TreeKind().estimators(n_classes=2, max_nodes=99, n_rows=1000)]
        [50, 50, 50]
    """

    name = "tree"

    def estimators(self, n_classes: int, max_nodes: int, n_rows: int) -> list[Any]:
        """Vary the minimum number of rows of a leaf: 1, 5 and 20."""
        leaves = (max_nodes + 1) // 2
        if leaves < 2:
            return []
        return [DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=rows) for rows in (1, 5, 20)]

    def stages(self, fitted: Any, X: NDArray[Any], n_classes: int) -> Iterator[StudentStage]:
        """Predict with the first k leaves; the whole tree is the last stage."""
        counts = [k for k in _smaller_sizes(fitted.max_leaf_nodes, TREE_STAGES) if k >= 2]
        for k, values in zip(counts, staged_predict(fitted, X, counts), strict=True):
            smaller = first_leaves(fitted, k)
            yield StudentStage(clone(smaller), to_probabilities(values) if n_classes else values, smaller)


class ForestKind(StudentKind):
    """A random forest of 5 or 20 trees.

    Example:
        >>> [forest.n_estimators for forest in ForestKind().estimators(n_classes=2, max_nodes=99, n_rows=1000)]
        [5, 5, 20, 20]
    """

    name = "forest"

    def estimators(self, n_classes: int, max_nodes: int, n_rows: int) -> list[Any]:
        """Vary the number of trees, and the minimum number of rows of a leaf: 1 and 5."""
        return [
            RandomForestRegressor(trees, max_leaf_nodes=(max_nodes // trees + 1) // 2, min_samples_leaf=rows)
            for trees in (5, 20)
            for rows in (1, 5)
            if max_nodes // trees >= 3
        ]


class BoostingKind(StudentKind):
    """Histogram gradient boosting; for classes, on the cross-entropy of soft targets.

    Example:
        >>> kind = BoostingKind()
        >>> sorted({(model.max_leaf_nodes, model.max_iter) for model in kind.estimators(2, 300, n_rows=1000)})
        [(4, 42), (8, 20), (16, 9)]
    """

    name = "boosting"

    def estimators(self, n_classes: int, max_nodes: int, n_rows: int) -> list[Any]:
        """Vary the leaves of a tree and the learning rate, with as many iterations as the nodes allow."""
        model = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
        trees = n_classes if n_classes > 2 else 1  # per iteration
        shapes = [(leaves, max_nodes // (trees * (2 * leaves - 1))) for leaves in LEAVES]
        usable = [(leaves, n) for leaves, n in shapes if n >= MIN_ITERATIONS]
        if not usable:
            smaller = [(leaves, max_nodes // (trees * (2 * leaves - 1))) for leaves in (3, 2)]
            usable = [next((shape for shape in smaller if shape[1] >= MIN_ITERATIONS), smaller[-1])]
            usable = usable if max_nodes >= 3 * trees else []
        return [
            model(
                max_leaf_nodes=leaves,
                max_iter=min(iterations, MAX_ITERATIONS),
                learning_rate=rate,
                min_samples_leaf=max(1, min(20, n_rows // 20)),
                early_stopping=False,
            )
            for leaves, iterations in usable
            for rate in LEARNING_RATES
        ]

    def stages(self, fitted: Any, X: NDArray[Any], n_classes: int) -> Iterator[StudentStage]:
        """Predict with the first iterations."""
        counts = _smaller_sizes(fitted.max_iter, BOOSTING_STAGES)
        staged = fitted.staged_predict_proba(X) if n_classes else fitted.staged_predict(X)
        for count, predictions in enumerate(staged, 1):
            if count in counts:
                smaller = _first_iterations(fitted, count)
                yield StudentStage(clone(smaller), predictions, smaller)


class EstimatorKind(StudentKind):
    """An estimator given by the user, in the size that its parameters determine.

    Args:
        estimator: unfitted regressor, or classifier with ``predict_proba``.

    Example:
        >>> EstimatorKind(DecisionTreeRegressor(max_depth=3)).name
        'DecisionTreeRegressor'
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.name = type(estimator).__name__

    def estimators(self, n_classes: int, max_nodes: int, n_rows: int) -> list[Any]:
        """Return the estimator, whatever its number of nodes: only the fitted one shows it."""
        return [self.estimator]


KINDS = {kind.name: kind for kind in (TreeKind(), ForestKind(), BoostingKind())}


def student_kinds(student: Any, n_classes: int) -> list[StudentKind]:
    """Return the kinds that the argument ``student`` of an estimator names.

    Args:
        student: ``"tree"``, ``"forest"``, ``"boosting"``, an unfitted estimator, or a list of these.
        n_classes: number of classes; 0 for regression.

    Raises:
        ConfigurationError: an unknown name, or an object that cannot be fitted to the targets.

    Example:
        >>> [kind.name for kind in student_kinds(["tree", RandomForestRegressor()], n_classes=2)]
        ['tree', 'RandomForestRegressor']
    """
    items: Sequence[Any] = student if isinstance(student, list | tuple) else [student]
    if not items:
        raise ConfigurationError(f"student: got an empty list, expected one or more of {', '.join(KINDS)}")
    return [_student_kind(item, n_classes) for item in items]


def _student_kind(item: Any, n_classes: int) -> StudentKind:
    if isinstance(item, str):
        if item not in KINDS:
            raise ConfigurationError(f"student: got {item!r}, expected {', '.join(KINDS)} or an unfitted estimator")
        return KINDS[item]
    kind = type(item).__name__
    if not hasattr(item, "fit") or not hasattr(item, "get_params"):
        raise ConfigurationError(f"student: got {kind}, expected {', '.join(KINDS)} or an unfitted estimator")
    if is_classifier(item) and not n_classes:
        raise ConfigurationError(f"student: got the classifier {kind}, expected a regressor")
    if is_classifier(item) and not hasattr(item, "predict_proba"):
        raise ConfigurationError(f"student: {kind} has no predict_proba")
    return EstimatorKind(item)


def predict_outputs(fitted: Any, X: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    """Predict probabilities (N, K) with a student of ``n_classes`` classes, values (N,) for 0 classes."""
    return student_probabilities(fitted, X) if n_classes else np.ravel(fitted.predict(X))


def _smaller_sizes(largest: int, stages: int) -> list[int]:
    """Return ascending sizes that end with the largest; neighbors differ by a factor of about the square root of 2."""
    return sorted({max(1, round(largest / 2 ** (step / 2))) for step in range(stages)})


def _first_iterations(model: Any, count: int) -> Any:
    """Return fitted boosting of the first iterations, equal to a fit with ``max_iter=count``."""
    smaller = copy.copy(model)
    smaller._predictors = model._predictors[:count]
    return smaller.set_params(max_iter=count)
