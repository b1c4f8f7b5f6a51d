"""What the random-forest study is given: the parts of a table, and what to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.training_sets import Part


@dataclass(frozen=True)
class Table:
    """The parts of a data set. Weights of rows are used in training; scores count every row once.

    Attributes:
        fit: rows that teacher and students learn from while sizes are chosen.
        validation: rows that sizes are chosen on.
        train: rows that the reported teacher and students learn from.
        test: rows that they are scored on.
        categories: first and last + 1 column of each one-hot block.
    """

    fit: Part
    validation: Part
    train: Part
    test: Part
    categories: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class StudyConfig:
    """What the study does.

    Attributes:
        metric: what sizes are chosen by and the curves show, ``auc`` or ``accuracy``.
        synthetic_ratio: synthetic rows for each real one.
        max_trees: trees of the forest student.
        leaf_nodes: sizes to choose among.
        min_samples_leaf: for each of these a tree is grown whose sizes are tried.
        compression_ratio: how many times fewer bytes than the teacher the small student has at least.
        teacher: unfitted classifier; None for the paper's random forest.
    """

    metric: Literal["auc", "accuracy"] = "auc"
    synthetic_ratio: float = 9
    max_trees: int = 20
    leaf_nodes: tuple[int, ...] = (5, 10, 20, 50, 100, 200, 300, 500, 800, 1250, 2000, 3000, 5000, 8000, 12000, 20000)
    min_samples_leaf: tuple[int, ...] = (1, 5, 20)
    compression_ratio: float = 300
    teacher: Any = None

    def __post_init__(self) -> None:
        for name in ("synthetic_ratio", "max_trees", "compression_ratio"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}")
        for name, least in (("leaf_nodes", 2), ("min_samples_leaf", 1)):
            values = getattr(self, name)
            if not values or min(values) < least:
                raise ConfigurationError(f"{name} must be one number or more from {least} up, got {list(values)}")
