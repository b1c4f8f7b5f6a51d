"""Data set of images that are resized to another resolution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.cached import CachedDataset, NpzArrays
from ganmc_lightning.data.datasets.npz import IMAGE_ARRAYS
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import check_size
from ganmc_lightning.io.npz import ChunkedArray

_CHUNK = 1024  # number of images per resize call


class ResizedDataset(CachedDataset):
    """Images of another data set, resized once and cached, e.g. to the 64 pixels of GAN-KD.

    Images are resized bilinearly, with antialiasing. Those of a built-in data set are cached as
    ``<name>_<image_size>.npz``; those of your own files, which may change, are resized when they are loaded.

    Args:
        dataset: data set of images in memory.
        image_size: side of the resized images in pixels.

    Raises:
        ConfigurationError: ``image_size`` is not positive.

    Example:
        >>> import tempfile
        >>> from ganmc_lightning.data.datasets import Digits
        >>> dataset, root = ResizedDataset(Digits(), image_size=16), Path(tempfile.mkdtemp())
        >>> dataset.prepare(root)
        >>> dataset.name, dataset.load(root).train.sample_shape
        ('digits_16', (1, 16, 16))
    """

    expected_arrays = IMAGE_ARRAYS

    def __init__(self, dataset: DatasetSource, image_size: int = 64) -> None:
        self.dataset = dataset
        self.image_size = check_size(image_size, "image_size")
        self.name = f"{dataset.name}_{image_size}"

    @property
    def cached(self) -> bool:
        """Whether the resized images are cached: those of a data set that is itself cached."""
        inner = self.dataset
        return inner.cached if isinstance(inner, ResizedDataset) else isinstance(inner, CachedDataset)

    def prepare(self, root: Path) -> None:
        """Download the original data set and cache its resized images.

        Raises:
            ConfigurationError: the root is not writable, or the data set cannot be downloaded or resized.
        """
        if self.cached:
            super().prepare(root)
        else:
            self.dataset.prepare(root)

    def load(self, root: Path) -> DatasetSplits:
        """Read the cached images, or resize the images of a data set that is not cached.

        Raises:
            ConfigurationError: the data set is missing or invalid, or does not contain images in memory.
        """
        if self.cached:
            return super().load(root)
        splits = self.dataset.load(root)
        resized = {name: self._resize_split(data) for name, data in self._splits(splits).items()}
        return splits._replace(train=resized["train"], test=resized["test"], validation=resized.get("validation"))

    def fetch(self, root: Path) -> NpzArrays:
        """Download the original data set and resize its images.

        Raises:
            ConfigurationError: the data set cannot be downloaded, or does not contain images in memory.
        """
        self.dataset.prepare(root)
        splits = self.dataset.load(root)
        arrays: dict[str, NDArray[Any] | ChunkedArray] = {}
        for name, data in self._splits(splits).items():
            split = "val" if name == "validation" else name
            shape = (len(data), self.image_size, self.image_size, data.inputs.shape[1])
            arrays[f"{split}_images"] = ChunkedArray(shape, np.uint8, self._resize(data.inputs))
            arrays[f"{split}_labels"] = data.labels.numpy()
        if splits.class_names:
            arrays["class_names"] = np.array(splits.class_names, dtype=np.str_)
        return arrays

    def _splits(self, splits: DatasetSplits) -> dict[str, TensorDataset]:
        """Return the splits with samples, by field of :class:`DatasetSplits`."""
        found: dict[str, TensorDataset] = {}
        for name in ("train", "test", "validation"):
            data = getattr(splits, name)
            if data is None:
                continue
            if not isinstance(data, TensorDataset) or data.inputs.dim() != 4:
                raise ConfigurationError(
                    f"data.dataset: ResizedDataset got {self.dataset.name}, expected a data set of images in memory"
                )
            found[name] = data
        return found

    def _resize_split(self, data: TensorDataset) -> TensorDataset:
        chunks = [torch.from_numpy(chunk).permute(0, 3, 1, 2) for chunk in self._resize(data.inputs)]
        return data.with_inputs(torch.cat(chunks).contiguous())

    def _resize(self, images: Tensor) -> Iterator[NDArray[np.uint8]]:
        size = (self.image_size, self.image_size)
        for chunk in images.split(_CHUNK):
            resized = F.interpolate(chunk.float(), size=size, mode="bilinear", antialias=True)
            yield resized.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
