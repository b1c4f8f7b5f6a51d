"""Log the score of trees trained on a generator's rows during training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.generator_monitor import SAMPLE_SEED, GeneratorMonitor
from ganmc_lightning.evaluation.samples import samples_of_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator

FOREST_SEED = 0


class TreeScoreMonitor(GeneratorMonitor):
    """Log the score of trees trained on a random forest's probabilities of generated rows.

    This is a reduced version of the study in GAN-MC, section 4, evaluated on the validation split. GAN losses do not
    track sample quality; select checkpoints by this metric instead. A forest is fitted once to the real training rows.
    At every validation, fully grown trees are fitted to the forest's probabilities of generated rows, with equally many
    rows of each class. Their mean score on the real validation rows is logged: ``val/tree_auc`` for two classes,
    ``val/tree_accuracy`` for more.

    The trees are fitted to scaled rows; scaling is monotonic per column, so the trees are unaffected.

    Args:
        teacher_trees: number of trees of the forest (default: 500, as in the paper).
        synthetic_ratio: number of generated rows per real training row (default: 9, as in the paper).
        num_students: number of trees per validation; the score of a single tree has a high variance.
        submodule: name of the generator in the LightningModule.

    Raises:
        ConfigurationError: a number is not positive.

    Example:
        >>> TreeScoreMonitor(teacher_trees=50, num_students=1).synthetic_ratio
        9
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
                raise ConfigurationError(f"TreeScoreMonitor.{name}: got {value}, expected a positive number")
        self.teacher_trees = teacher_trees
        self.synthetic_ratio = synthetic_ratio
        self.num_students = num_students
        self._teacher: Any = None

    def validate(self, data: SupportsDataSpec) -> None:
        """Reject images; reset the forest."""
        shape = tuple(data.spec.sample_shape)
        if len(shape) != 1:
            raise ConfigurationError(
                f"TreeScoreMonitor: got samples of shape {shape}, expected rows (D,): use CompressionScoreMonitor"
            )
        labels = data.samples("val")[1]
        if data.spec.num_classes == 2 and len(labels.unique()) < 2:
            raise ConfigurationError(
                "TreeScoreMonitor: got validation rows of one class, expected both, for the AUC; use more rows or a "
                "larger data.validation_fraction"
            )
        self._teacher = None

    def compute(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Fit trees to generated rows and score them on the validation split."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
        from sklearn.metrics import roc_auc_score

        (rows, labels), (held_out, truth) = _to_numpy(data, "train"), _to_numpy(data, "val")
        if self._teacher is None:
            self._teacher = RandomForestClassifier(self.teacher_trees, random_state=FOREST_SEED).fit(rows, labels)
        classes = torch.arange(data.spec.num_classes, device=data.samples("train")[1].device)  # equally frequent
        samples = samples_of_generator(generator, data, origin=self.submodule, labels=classes)
        generated = samples.sample(round(self.synthetic_ratio * len(rows)), SAMPLE_SEED).numpy()
        targets = self._teacher.predict_proba(generated)
        binary = data.spec.num_classes == 2
        trees = (RandomForestRegressor(1, random_state=seed) for seed in range(self.num_students))
        predictions = [tree.fit(generated, targets[:, 1] if binary else targets).predict(held_out) for tree in trees]
        if binary:
            return {"tree_auc": float(np.mean([roc_auc_score(truth, prediction) for prediction in predictions]))}
        return {"tree_accuracy": float(np.mean([each.argmax(axis=1) == truth for each in predictions]))}


def _to_numpy(data: SupportsDataSpec, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    inputs, labels = data.samples(split)
    return inputs.cpu().numpy(), labels.cpu().numpy()
