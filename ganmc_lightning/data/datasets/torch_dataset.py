"""Data sets of the user's own PyTorch datasets and data loaders."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Subset

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits
from ganmc_lightning.data.datasets.image_splits import make_splits
from ganmc_lightning.data.datasets.sample_reader import SampleReader
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import infer_num_classes

_BATCH_SIZE = 64  # for loaders whose batches differ in size


class TorchDataset(DatasetSource):
    """PyTorch datasets or data loaders of images, read once into memory as uint8.

    A sample is a pair of an image and an integer label. Images have one size and are PIL images (RGB or gray), or
    tensors (C, H, W): uint8, or float in [0, 1] or [-1, 1], which is recognized by the values and rounded to 8 bits.
    Images that are normalized by mean and standard deviation are refused.

    Transforms are applied once: leave only deterministic transforms such as a crop in the datasets, and pass random
    augmentation as ``augment`` of the data module. A shuffled loader is read in the order of its data set, so that
    splits are equal in every run.

    Args:
        train: training samples, a map-style data set or a ``DataLoader`` of batches (images, labels).
        test: test samples; None splits a fifth off the training samples, stratified by class.
        validation: validation samples; None splits them off the training samples.
        class_names: class names in the order of the labels, e.g. ``train.classes`` of torchvision; empty for unnamed
            classes.

    Raises:
        ConfigurationError: a data set is iterable-style, a loader has no batches, or validation samples are given
            without test samples.

    Example:
        >>> images = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 1, 4, 4) / 9
        >>> data = torch.utils.data.TensorDataset(images, torch.arange(10) % 2)
        >>> splits = TorchDataset(data, class_names=["even", "odd"]).load(Path())
        >>> splits.train.inputs.shape, splits.train.inputs.max(), len(splits.test)
        (torch.Size([8, 1, 4, 4]), tensor(255, dtype=torch.uint8), 2)
    """

    def __init__(
        self,
        train: Dataset[Any] | DataLoader[Any],
        test: Dataset[Any] | DataLoader[Any] | None = None,
        validation: Dataset[Any] | DataLoader[Any] | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        given = {"train": train, "val": validation, "test": test}
        self.datasets = {split: data for split, data in given.items() if data is not None}
        self.class_names = tuple(class_names)
        self.name = type(train.dataset if isinstance(train, DataLoader) else train).__name__
        if validation is not None and test is None:
            raise ConfigurationError("test: got validation samples without test samples, expected test samples")
        for split, data in self.datasets.items():
            _check_dataset(data, split)

    def prepare(self, root: Path) -> None:
        """Do nothing, because no data are downloaded."""

    def load(self, root: Path) -> DatasetSplits:
        """Read all samples.

        Raises:
            ConfigurationError: a sample is not an image and a label, images differ in size or type, values are not in a
                known range, or labels do not match ``class_names``.
        """
        reader = SampleReader()
        splits = {split: reader.read(_samples(data, split), split) for split, data in self.datasets.items()}
        num_classes = infer_num_classes(splits["train"].labels, "train")
        if self.class_names and len(self.class_names) != num_classes:
            raise ConfigurationError(
                f"class_names: got {len(self.class_names)} names, expected {num_classes}, one per class of the labels"
            )
        return make_splits(splits, self.class_names, num_classes, self.name)


def _check_dataset(data: Dataset[Any] | DataLoader[Any], split: str) -> None:
    dataset = data.dataset if isinstance(data, DataLoader) else data
    if isinstance(dataset, IterableDataset) or not isinstance(dataset, Sized):
        raise ConfigurationError(
            f"{split}: got the iterable-style data set {type(dataset).__name__}, expected a map-style data set with "
            "__len__ and __getitem__; pass list(dataset)"
        )
    if isinstance(data, DataLoader) and data.batch_sampler is None:
        raise ConfigurationError(f"{split}: got a DataLoader with batch_size=None, expected a loader of batches")


def _samples(data: Dataset[Any] | DataLoader[Any], where: str) -> Iterator[Any]:
    if not isinstance(data, DataLoader):
        for index in range(len(data)):  # type: ignore[arg-type]
            yield data[index]
        return
    for batch in _in_order(data, where):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise ConfigurationError(f"{where}: got batches of type {type(batch).__name__}, expected (images, labels)")
        yield from zip(*batch, strict=True)


def _in_order(loader: DataLoader[Any], where: str) -> DataLoader[Any]:
    """Return a loader of the same samples in the order of the data set, including an incomplete last batch."""
    default = type(loader.batch_sampler) is BatchSampler
    with torch.random.fork_rng(devices=[]):  # shuffling would change the random numbers of the run
        indices = [*(loader.sampler if default else itertools.chain.from_iterable(loader.batch_sampler or ()))]
    if len({*indices}) < len(indices):
        raise ConfigurationError(
            f"{where}: got a sampler that repeats samples, which would be training and validation samples; expected a "
            "loader without replacement, or loader.dataset"
        )
    return DataLoader(
        Subset(loader.dataset, sorted(indices)),
        batch_size=loader.batch_size or _BATCH_SIZE,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),
    )
