"""Placeholder for data-free distillation."""

from __future__ import annotations

from pathlib import Path

import torch

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.exceptions import ConfigurationError


class DataFreeSource(DatasetSource):
    """Placeholder for training without real samples, such as compressing a generator (GAN-KD).

    It only defines the length of an epoch. LightningModules that require real samples raise an error.

    Args:
        size: number of empty training samples; ``data.validation_fraction`` of them are validation samples.
        test_size: number of empty test samples.

    Raises:
        ConfigurationError: a size is too small.

    Example:
        >>> splits = DataFreeSource(size=100, test_size=10).load(Path())
        >>> len(splits.train), splits.train.sample_shape, splits.num_classes
        (100, (0,), 0)
    """

    name = "no data"

    def __init__(self, size: int = 50_000, test_size: int = 10_000) -> None:
        if size < 2 or test_size < 1:
            raise ConfigurationError(
                f"DataFreeSource: got size {size} and test_size {test_size}, expected at least 2 and 1"
            )
        self.size = size
        self.test_size = test_size

    def prepare(self, root: Path) -> None:
        """Do nothing, because no data are downloaded."""

    def load(self, root: Path) -> DatasetSplits:
        """Return samples of shape (0,) with unknown labels."""
        train, test = (
            TensorDataset(torch.empty(n, 0, dtype=torch.uint8), torch.full((n,), UNKNOWN_LABEL))
            for n in (self.size, self.test_size)
        )
        return DatasetSplits(train, test, num_classes=0)
