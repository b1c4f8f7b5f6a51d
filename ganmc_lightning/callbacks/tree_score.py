"""What a generator of rows would teach a tree, while it trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.generator_monitor import SAMPLE_SEED, GeneratorMonitor
from ganmc_lightning.evaluation.samples import draw_samples
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator

FOREST_SEED = 0


class TreeScoreMonitor(GeneratorMonitor):
    """Logs how well a tree does that learned a random forest's probabilities on generated rows alone.

    It is the study of GAN-MC section 4 in small, made on the validation part: what ``checkpoint.monitor`` should
    name while a generator of rows trains, for its loss says nothing of its worth. A forest is fitted once to the
    real training rows; at every validation fresh rows are drawn, as many of each class, the forest labels them,
    fully grown trees learn its probabilities, and their mean score on the real validation rows is logged:
    ``val/tree_auc`` for two classes, ``val/student_accuracy`` for more.

    Trees see rows as networks do. Scaling is monotone in each column, so they would grow alike without it.

    Args:
        teacher_trees: trees of the forest; 500 in the paper.
        synthetic_ratio: generated rows for each real training row; 9 in the paper.
        num_students: trees grown each time; one alone scores with a noise of its own.
        submodule: name of the generator in the module.

    Raises:
        ConfigurationError: a number is not positive.
    """

    def __init__(
        self, teacher_trees: int = 500, synthetic_ratio: float = 9, num_students: int = 3, submodule: str = "generator"
    ) -> None:
        super().__init__(submodule)
        for name, value in (
            ("teacher_trees", teacher_trees),
            ("synthetic_ratio", synthetic_ratio),
            ("num_students", num_students),
        ):
            if not value > 0:
                raise ConfigurationError(f"TreeScoreMonitor.{name} must be positive, got {value}")
        self.teacher_trees = teacher_trees
        self.synthetic_ratio = synthetic_ratio
        self.num_students = num_students
        self._teacher: Any = None

    def check(self, data: SupportsDataSpec) -> None:
        """Refuse images; forget the forest of an earlier run."""
        shape = tuple(data.spec.sample_shape)
        if len(shape) != 1:
            raise ConfigurationError(
                f"TreeScoreMonitor grows trees on rows, the data have samples of shape {shape}: "
                "use CompressionScoreMonitor"
            )
        self._teacher = None

    def scores(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Draw rows, label them, grow trees on them and score these on the validation part."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
        from sklearn.metrics import roc_auc_score

        (rows, labels), (held_out, truth) = _arrays(data, "train"), _arrays(data, "val")
        if self._teacher is None:
            self._teacher = RandomForestClassifier(self.teacher_trees, random_state=FOREST_SEED).fit(rows, labels)
        n = round(self.synthetic_ratio * len(rows))
        classes = torch.arange(data.spec.num_classes, device=data.samples("train")[1].device)  # as many of each
        drawn = draw_samples(generator, classes, data.spec, n, SAMPLE_SEED).cpu().numpy()
        targets = self._teacher.predict_proba(drawn)
        binary = data.spec.num_classes == 2
        students = (RandomForestRegressor(1, random_state=seed) for seed in range(self.num_students))
        answers = [student.fit(drawn, targets[:, 1] if binary else targets).predict(held_out) for student in students]
        if binary:
            return {"tree_auc": float(np.mean([roc_auc_score(truth, answer) for answer in answers]))}
        return {"student_accuracy": float(np.mean([answer.argmax(axis=1) == truth for answer in answers]))}


def _arrays(data: SupportsDataSpec, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    inputs, labels = data.samples(part)
    return inputs.cpu().numpy(), labels.cpu().numpy()
