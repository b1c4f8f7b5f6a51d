"""Configuration and data of the random-forest study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.training_sets import LabeledSamples

LEAVES = (5, 10, 20, 50, 100, 200, 300, 500, 800, 1250, 2000, 3000, 5000, 8000, 12000, 20000)


@dataclass(frozen=True)
class StudySplits:
    """Splits of a data set. Training uses the sample weights; metrics weight all samples equally.

    Attributes:
        fit: training samples while sizes are selected.
        validation: samples that sizes are selected on.
        train: training samples of the reported teacher and students.
        test: samples of the reported metrics.
        one_hot_blocks: first column and last column + 1 of each one-hot block.
    """

    fit: LabeledSamples
    validation: LabeledSamples
    train: LabeledSamples
    test: LabeledSamples
    one_hot_blocks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class StudyConfig:
    """Configuration of the study.

    Attributes:
        metric: metric that selects sizes of trees and that the curves show, ``auc`` or ``accuracy``; boosting students
            are selected by AUC.
        synthetic_ratio: synthetic samples per real sample, positive; 9 in GAN-MC.
        max_trees: number of trees of the forest students, at least 1.
        max_leaf_nodes: candidates for the number of leaves, each at least 2.
        min_samples_leaf: candidates for the minimum number of samples in a leaf, each at least 1.
        boosting_nodes: maximum numbers of nodes of the boosting students, one student each.
        boosting_min_samples_leaf: candidates for the minimum number of samples in a leaf of boosting, each at least 1;
            null for 20, or fewer for fewer than 400 training samples.
        min_compression: minimum compression ratio of the small students, in bytes relative to the teacher; where no
            candidate has it, the small student is the smallest one.
        teacher: unfitted classifier; null for the random forest of 500 trees of GAN-MC.
    """

    metric: Literal["auc", "accuracy"] = "auc"
    synthetic_ratio: float = 9
    max_trees: int = 20
    max_leaf_nodes: tuple[int, ...] = LEAVES
    min_samples_leaf: tuple[int, ...] = (1, 5, 20)
    boosting_nodes: tuple[int, ...] = (300,)
    boosting_min_samples_leaf: tuple[int, ...] | None = None
    min_compression: float = 300
    teacher: Any = None

    def __post_init__(self) -> None:
        for name in ("synthetic_ratio", "max_trees", "min_compression"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name}: got {getattr(self, name)}, expected a positive number")
        minimums = {"max_leaf_nodes": 2, "min_samples_leaf": 1, "boosting_nodes": 3}
        if self.boosting_min_samples_leaf is not None:
            minimums["boosting_min_samples_leaf"] = 1
        for name, minimum in minimums.items():
            values = getattr(self, name)
            if not values or min(values) < minimum:
                raise ConfigurationError(f"{name}: got {list(values)}, expected one or more integers >= {minimum}")
