"""Selection and fit of the students of one training set of the random-forest study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from threadpoolctl import threadpool_limits

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.metrics import roc_auc
from ganmc_lightning.tabular.profiling import tree_nodes
from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities
from ganmc_lightning.tabular.students import BoostingKind
from ganmc_lightning.tabular.study_config import StudyConfig
from ganmc_lightning.tabular.tasks import fit_classification_student
from ganmc_lightning.tabular.training_sets import LabeledSamples, TrainingSet
from ganmc_lightning.tabular.tree_size import (
    SizeCandidate,
    TreeSize,
    first_leaves,
    fit_best_first_tree,
    select_size,
    staged_scores,
)

Metric = Callable[[NDArray[np.int64], NDArray[np.float64]], float]


class BoostingCandidate(NamedTuple):
    """A boosting student with its score on held-out samples.

    Attributes:
        estimator: unfitted estimator.
        nodes: nodes of all trees.
        score: AUC on the held-out samples.
        fitted: the model that was scored.
    """

    estimator: Any
    nodes: int
    score: float
    fitted: Any


class StudySelection(NamedTuple):
    """Sizes selected on the validation split for one training set.

    Attributes:
        tuned: size of the tree with the best score.
        small: size of the tree with the best score among the small ones.
        boosting: maximum number of nodes -> boosting student with the best AUC.
        trees: minimum number of samples in a leaf -> largest tree, fitted to the training set of the selection.
    """

    tuned: SizeCandidate
    small: SizeCandidate
    boosting: Mapping[int, BoostingCandidate]
    trees: Mapping[int, StudentClassifier]


class FittedStudents(NamedTuple):
    """Students of one training set.

    Attributes:
        forest: fully grown trees on bootstrap samples.
        tuned: tree of the tuned size.
        small: tree of the small size.
        largest: largest tree with the ``min_samples_leaf`` of ``small``.
        boosting: maximum number of nodes -> boosting student.
    """

    forest: RandomForestRegressor
    tuned: StudentClassifier
    small: StudentClassifier
    largest: StudentClassifier
    boosting: Mapping[int, StudentClassifier]


def select_study_students(
    training_set: TrainingSet,
    validation: LabeledSamples,
    config: StudyConfig,
    metric: Metric,
    max_bytes: float,
    seed: int,
) -> StudySelection:
    """Select the sizes of all students of a training set, on one thread.

    Args:
        training_set: samples to fit to.
        validation: samples to score on.
        config: candidates.
        metric: function of labels and probabilities that selects trees; higher is better.
        max_bytes: largest pickled size of the small tree.
        seed: random seed of the students.
    """
    sizes = [TreeSize(max(config.max_leaf_nodes), minimum) for minimum in config.min_samples_leaf]
    trees = {size.min_samples_leaf: _fit_tree(training_set, size, seed) for size in sizes}
    candidates = [
        candidate
        for tree in trees.values()
        for candidate in staged_scores(tree, validation.X, validation.y, config.max_leaf_nodes, metric)
    ]
    boosting = _select_boosting(training_set, validation, config, seed)
    return StudySelection(select_size(candidates), select_size(candidates, max_bytes), boosting, trees)


def fit_study_students(
    training_set: TrainingSet, selection: StudySelection, config: StudyConfig, seed: int, same_samples: bool
) -> FittedStudents:
    """Fit all students of a training set, on one thread.

    Args:
        training_set: samples to fit to.
        selection: selected sizes.
        config: number of fully grown trees, and size of the largest tree.
        seed: random seed of the students.
        same_samples: whether the sizes were selected with this training set, so that no fit is repeated.
    """
    tuned, small = selection.tuned.size, selection.small.size
    trees = {
        minimum: selection.trees[minimum]
        if same_samples
        else _fit_tree(training_set, TreeSize(max(config.max_leaf_nodes), minimum), seed)
        for minimum in {tuned.min_samples_leaf, small.min_samples_leaf}
    }
    boosting = {}
    for max_nodes, candidate in selection.boosting.items():
        fitted = candidate.fitted if same_samples else _fit_boosting(training_set, candidate.estimator, seed)
        classes = np.arange(2 if training_set.targets.ndim == 1 else training_set.targets.shape[1])
        boosting[max_nodes] = StudentClassifier(fitted, classes)
    forest = RandomForestRegressor(config.max_trees, random_state=seed)
    return FittedStudents(
        forest.fit(training_set.X, training_set.targets, training_set.sample_weight),
        _first_leaves(trees[tuned.min_samples_leaf], tuned.max_leaf_nodes),
        _first_leaves(trees[small.min_samples_leaf], small.max_leaf_nodes),
        trees[small.min_samples_leaf],
        boosting,
    )


def _select_boosting(
    training_set: TrainingSet, validation: LabeledSamples, config: StudyConfig, seed: int
) -> dict[int, BoostingCandidate]:
    """Return the boosting student of each budget with the best AUC; the first iterations of larger ones are candidates.

    The metric of the study is not used: accuracy on few validation samples is too noisy to select among many shapes.
    """
    kind, candidates = BoostingKind(), list[BoostingCandidate]()
    n_classes = 2 if training_set.targets.ndim == 1 else training_set.targets.shape[1]
    for max_nodes in sorted(config.boosting_nodes, reverse=True):
        estimators = kind.estimators(n_classes, max_nodes, len(training_set.X))
        if not estimators:
            least = 3 * (n_classes if n_classes > 2 else 1)
            raise ConfigurationError(f"boosting_nodes: got {max_nodes}, expected at least {least}")
        covered = {_shape(candidate.estimator) for candidate in candidates if candidate.nodes <= max_nodes}
        varied = _vary_min_samples_leaf(estimators, config.boosting_min_samples_leaf)
        for estimator in (estimator for estimator in varied if _shape(estimator) not in covered):
            fitted = _fit_boosting(training_set, estimator, seed)
            for stage in kind.stages(fitted, validation.X, n_classes):
                nodes, score = sum(tree_nodes(stage.fitted) or []), roc_auc(validation.y, stage.predictions)
                candidates.append(BoostingCandidate(stage.estimator, nodes, score, stage.fitted))
    return {
        max_nodes: max(
            (candidate for candidate in candidates if candidate.nodes <= max_nodes),
            key=lambda candidate: (candidate.score, -candidate.nodes),
        )
        for max_nodes in config.boosting_nodes
    }


def _vary_min_samples_leaf(estimators: Sequence[Any], candidates: Sequence[int] | None) -> list[Any]:
    if candidates is None:
        return list(estimators)
    return [clone(estimator).set_params(min_samples_leaf=n) for estimator in estimators for n in candidates]


def _shape(estimator: Any) -> tuple[Any, ...]:
    """Return the parameters in which boosting students differ, except the number of iterations."""
    return estimator.max_leaf_nodes, estimator.learning_rate, estimator.min_samples_leaf


def _first_leaves(student: StudentClassifier, max_leaf_nodes: int) -> StudentClassifier:
    return StudentClassifier(first_leaves(student.regressor, max_leaf_nodes), student.classes)


def _fit_tree(training_set: TrainingSet, size: TreeSize, seed: int) -> StudentClassifier:
    return fit_best_first_tree(training_set.X, training_set.targets, size, seed, training_set.sample_weight)


def _fit_boosting(training_set: TrainingSet, estimator: Any, seed: int) -> Any:
    with threadpool_limits(1, user_api="openmp"):  # the training sets share the processors
        return fit_classification_student(
            clone(estimator), training_set.X, to_probabilities(training_set.targets), training_set.sample_weight, seed
        )
