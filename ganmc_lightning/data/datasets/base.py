"""What a source is, and the two kinds of data set it can hand out."""

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

from ganmc_lightning.data.schema import Schema
from ganmc_lightning.io.images import read_image


class TensorDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples held in memory as two tensors, so that a whole batch is one index-select.

    Attributes:
        inputs: contiguous uint8 (N, C, H, W) for images, float (N, D) for rows: float64 in the units of the table
            where a source hands them out, float32 once they are scaled.
        labels: int64 (N,).
        weights: of the samples in training, float64 (N,); None where all count alike.

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
        """Return the samples at ``indices`` (M,) as a data set of their own."""
        weights = None if self.weights is None else self.weights[indices]
        return TensorDataset(self.inputs[indices], self.labels[indices], weights)

    def with_inputs(self, inputs: Tensor) -> TensorDataset:
        """Return the same samples in another form, such as scaled."""
        return TensorDataset(inputs, self.labels, self.weights)

    def to(self, device: torch.device) -> TensorDataset:
        """Return the samples on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return TensorDataset(self.inputs.to(device), self.labels.to(device), weights)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one sample and its label, an int64 scalar tensor."""
        return self.inputs[index], self.labels[index]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample: ``(C, H, W)`` or ``(D,)``."""
        return tuple(self.inputs.shape[1:])


class ImageFileDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images decoded from disk one by one, for sets too large for memory.

    Args:
        folder: folder that ``files`` are relative to.
        files: relative file names, one per image.
        labels: int64 (N,).
        image_size: side of the square that is cut from the centre.
        shorter_side: length the shorter side is resized to before the cut.

    Attributes:
        labels: int64 (N,).
    """

    def __init__(self, folder: Path, files: Sequence[str], labels: Tensor, image_size: int, shorter_side: int) -> None:
        # One array of bytes, not a list of str: worker processes share its memory, whereas the reference
        # counts of a million strings are written to, and so copied, by every worker that reads them.
        self._files = np.array([os.fsencode(name) for name in files], dtype=np.bytes_)
        self.folder = folder
        self.labels = labels
        self.image_size = image_size
        self.shorter_side = shorter_side

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one RGB image, uint8 (3, image_size, image_size), and its label, an int64 scalar tensor.

        Raises:
            ConfigurationError: the file cannot be read as an image.
        """
        path = self.folder / os.fsdecode(self._files[index])
        return read_image(path, self.image_size, self.shorter_side, channels=3), self.labels[index]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one image, known without decoding any."""
        return (3, self.image_size, self.image_size)

    def subset(self, indices: Tensor) -> ImageFileDataset:
        """Return the images at ``indices`` (M,) as a data set of their own."""
        part = copy.copy(self)
        part._files = self._files[indices.numpy()]
        part.labels = self.labels[indices]
        return part


class DatasetSplits(NamedTuple):
    """The training and the test part of a data set.

    Attributes:
        train: training samples; a validation part is cut from these, never from ``test``.
        test: test samples.
        num_classes: K; labels run from 0 to K - 1 and each occurs in ``train``.
        class_names: K names in the order of the labels, or empty where nobody named them.
        categories: first and last + 1 column of each block of rows that holds a category one-hot.
        schema: names of the columns of rows and of their label; None where nobody named them.
    """

    train: TensorDataset | ImageFileDataset
    test: TensorDataset | ImageFileDataset
    num_classes: int
    class_names: tuple[str, ...] = ()
    categories: tuple[tuple[int, int], ...] = ()
    schema: Schema | None = None


class DatasetSource(ABC):
    """A data set that can be made ready once and then be loaded by every process.

    Attributes:
        name: short name for logs and reports; for a cached source also the stem of its file.
    """

    name: str

    @abstractmethod
    def prepare(self, root: Path) -> None:
        """Make sure that the data lie on disk; called on one process before any :meth:`load`.

        Args:
            root: the data root; a source that reads the user's own files ignores it.

        Raises:
            ConfigurationError: the data are not there and cannot be fetched or written.
        """

    @abstractmethod
    def load(self, root: Path) -> DatasetSplits:
        """Read the data; called on every process after :meth:`prepare`.

        Args:
            root: the data root given to :meth:`prepare`.

        Raises:
            ConfigurationError: a file is missing, damaged or not of the form the source needs.
        """
