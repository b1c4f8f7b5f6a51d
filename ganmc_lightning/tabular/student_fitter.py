"""Fit students of one kind in all sizes and score them on validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.label_sources import LABEL_SOURCES, TargetSet
from ganmc_lightning.tabular.metrics import auc_influence
from ganmc_lightning.tabular.profiling import tree_nodes
from ganmc_lightning.tabular.students import KINDS
from ganmc_lightning.tabular.study_config import StudySplits
from ganmc_lightning.tabular.tasks import ClassificationTask
from ganmc_lightning.tabular.teacher import Teacher

LOW_LEARNING_RATE = 0.1
"""Rate of boosting that is tried too: with a hundredth of a forest's nodes, higher rates overfit tables of few rows."""


@dataclass(frozen=True)
class StudiedStudent:
    """A student of selected size.

    Attributes:
        name: ``<kind>/<training rows>``.
        score: AUC on the validation rows.
        nodes: nodes of all trees.
        predictions: probabilities of the test rows (N, K).
        shape: unfitted estimator of the largest size of which this student is a part.
        influence: influence of each validation row on the AUC (M,), see
            :func:`~ganmc_lightning.tabular.metrics.auc_influence`.
    """

    name: str
    score: float
    nodes: int
    predictions: NDArray[np.float64]
    shape: Any
    influence: NDArray[np.float64]

    @property
    def synthetic(self) -> bool:
        """Whether the training rows contain synthetic rows."""
        return self.name.partition("/")[2] not in LABEL_SOURCES


class StudentFitter:
    """Fit students of at most ``max_nodes`` nodes.

    Args:
        splits: the data.
        teacher: fitted classifier.
        max_nodes: largest number of nodes of all trees.
        seed: random seed of the students.
    """

    def __init__(self, splits: StudySplits, teacher: Teacher, max_nodes: int, seed: int) -> None:
        self.splits = splits
        self.max_nodes = max_nodes
        self.seed = seed
        self._task = ClassificationTask.of(teacher, splits.fit.y, "roc_auc")
        self._held_out = np.concatenate([splits.validation.X, splits.test.X])

    def shapes(self, kind: str) -> list[Any]:
        """Return the unfitted estimators of a kind.

        Raises:
            ConfigurationError: none is small enough.
        """
        shapes = KINDS[kind].estimators(self._task.n_classes, self.max_nodes, len(self.splits.fit.X))
        if not shapes:
            raise ConfigurationError(f"node_ratio: {self.max_nodes} nodes are too few for the student {kind}")
        slow = {
            shape.max_leaf_nodes: clone(shape).set_params(learning_rate=LOW_LEARNING_RATE)
            for shape in shapes
            if "learning_rate" in shape.get_params()
        }
        return [*shapes, *slow.values()]

    def fit(self, kind: str, target_set: TargetSet, shapes: Sequence[Any]) -> list[StudiedStudent]:
        """Fit each shape; return its size with the best validation AUC, the smaller of ties, best shape first."""
        y = self.splits.validation.y
        best = []
        for shape in shapes:
            fitted = self._task.fit(clone(shape), *target_set[1:], self.seed)
            stages = [
                StudiedStudent(
                    f"{kind}/{target_set.name}",
                    self._task.score(y, stage.predictions[: len(y)], None),
                    sum(tree_nodes(stage.fitted) or []),
                    stage.predictions[len(y) :],
                    shape,
                    auc_influence(y, stage.predictions[: len(y)]),
                )
                for stage in KINDS[kind].stages(fitted, self._held_out, self._task.n_classes)
            ]
            best.append(max(stages, key=lambda student: (student.score, -student.nodes)))
        return sorted(best, key=lambda student: (-student.score, student.nodes))
