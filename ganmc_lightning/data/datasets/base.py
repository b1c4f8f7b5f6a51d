"""Base class of data sets, and containers of samples in memory or in files."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ganmc_lightning.data.schema import TableSchema
from ganmc_lightning.io.images import read_image


class TensorDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples in memory as tensors; a batch is one index-select.

    Attributes:
        inputs: contiguous uint8 (N, C, H, W) for images; for rows float64 (N, D) in the units of the table, or float32
            after scaling.
        labels: int64 (N,).
        weights: weights of the samples in training, float64 (N,); None for equal weights.

    Example:
        >>> import torch
        >>> data = TensorDataset(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0]))
        >>> len(data), data[1][1]
        (3, tensor(1))
    """

    def __init__(self, inputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> None:
        self.inputs = inputs
        self.labels = labels
        self.weights = weights

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> TensorDataset:
        """Return the samples at ``indices`` (M,)."""
        weights = None if self.weights is None else self.weights[indices]
        return TensorDataset(self.inputs[indices], self.labels[indices], weights)

    def with_inputs(self, inputs: Tensor) -> TensorDataset:
        """Return a data set with other inputs, e.g. scaled rows, and equal labels and weights."""
        return TensorDataset(inputs, self.labels, self.weights)

    def to(self, device: torch.device) -> TensorDataset:
        """Move the samples to a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return TensorDataset(self.inputs.to(device), self.labels.to(device), weights)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one sample and its label, an int64 scalar tensor."""
        return self.inputs[index], self.labels[index]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample: ``(C, H, W)`` or ``(D,)``."""
        return tuple(self.inputs.shape[1:])


class ImageFileDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images that are decoded from files one by one, for data sets too large for memory.

    Args:
        folder: folder that ``files`` are relative to.
        files: relative file names, one per image.
        labels: int64 (N,).
        image_size: side of the square center crop in pixels.
        shorter_side: length of the shorter side after resizing, before the crop.
        channels: 3 for RGB (default), 1 for gray; files with other channels are converted.

    Attributes:
        labels: int64 (N,).
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[str],
        labels: Tensor,
        image_size: int,
        shorter_side: int,
        channels: int = 3,
    ) -> None:
        # One array of bytes, because worker processes share its memory. Reading a list of str changes reference counts,
        # so that every worker would copy the list.
        self._files = np.array([os.fsencode(name) for name in files], dtype=np.bytes_)
        self.folder = folder
        self.labels = labels
        self.image_size = image_size
        self.shorter_side = shorter_side
        self.channels = channels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one image, uint8 (channels, image_size, image_size), and its label, an int64 scalar tensor.

        Raises:
            ConfigurationError: the file is not a readable image.
        """
        path = self.folder / os.fsdecode(self._files[index])
        return read_image(path, self.image_size, self.shorter_side, self.channels), self.labels[index]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one image; no file is read."""
        return (self.channels, self.image_size, self.image_size)

    def subset(self, indices: Tensor) -> ImageFileDataset:
        """Return the images at ``indices`` (M,)."""
        subset = copy.copy(self)
        subset._files = self._files[indices.numpy()]
        subset.labels = self.labels[indices]
        return subset


class DatasetSplits(NamedTuple):
    """Training and test samples of a data set.

    Attributes:
        train: training samples; validation samples are split off these, unless ``validation`` contains them.
        test: test samples.
        num_classes: K; labels are 0 to K - 1, and each occurs in ``train``.
        class_names: K names in the order of the labels; empty for unnamed classes.
        one_hot_blocks: first column and end (exclusive) of each one-hot block of rows.
        schema: names of the columns and of the label; None for images and unnamed columns.
        validation: validation samples of the data set; None to split them off the training samples.
    """

    train: TensorDataset | ImageFileDataset
    test: TensorDataset | ImageFileDataset
    num_classes: int
    class_names: tuple[str, ...] = ()
    one_hot_blocks: tuple[tuple[int, int], ...] = ()
    schema: TableSchema | None = None
    validation: TensorDataset | ImageFileDataset | None = None


class DatasetSource(ABC):
    """Base class of data sets: ``prepare`` downloads the data once (rank 0), ``load`` reads them on every rank.

    Attributes:
        name: short name for logs and reports; for a cached data set also the stem of its file.
    """

    name: str

    @abstractmethod
    def prepare(self, root: Path) -> None:
        """Download the data unless they exist; called on one process before :meth:`load`.

        Args:
            root: folder of cached data sets; ignored by data sets that read the user's own files.

        Raises:
            ConfigurationError: the data are missing and cannot be downloaded or written.
        """

    @abstractmethod
    def load(self, root: Path) -> DatasetSplits:
        """Read the data; called on every process after :meth:`prepare`.

        Args:
            root: folder of cached data sets, as in :meth:`prepare`.

        Raises:
            ConfigurationError: a file is missing, damaged or invalid.
        """
