"""A stream of nothing, for methods that learn without a data set."""

from __future__ import annotations

from pathlib import Path

import torch

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.exceptions import ConfigurationError


class DataFreeSource(DatasetSource):
    """Stands in where no real sample is needed: a generator learns from its teacher alone.

    It says how long an epoch is, and nothing else. Modules that do need samples refuse it.

    Args:
        size: how many samples to pretend; ``data.validation_fraction`` of them become the validation part.
        test_size: the same for the test part.

    Raises:
        ConfigurationError: a size is too small.
    """

    name = "no data"

    def __init__(self, size: int = 50_000, test_size: int = 10_000) -> None:
        if size < 2 or test_size < 1:
            raise ConfigurationError(f"DataFreeSource needs size >= 2 and test_size >= 1, got {size} and {test_size}")
        self.size = size
        self.test_size = test_size

    def prepare(self, root: Path) -> None:
        """Nothing to fetch; ``root`` need not exist."""

    def load(self, root: Path) -> DatasetSplits:
        """Return samples of shape (0,), of which any number takes no memory but that of their labels."""
        train, test = (
            TensorDataset(torch.empty(n, 0, dtype=torch.uint8), torch.full((n,), UNKNOWN_LABEL))
            for n in (self.size, self.test_size)
        )
        return DatasetSplits(train, test, num_classes=0)
