"""A data set at another size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.cached import CachedDataset
from ganmc_lightning.data.datasets.npz import IMAGE_ARRAYS
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import check_size
from ganmc_lightning.io.npz import ChunkedArray

CHUNK = 1024


class ResizedDataset(DatasetSource):
    """The images of another dataset at another size, such as the 64 pixels of GAN-KD.

    They are resized once, bilinearly and with smoothing where they shrink, and kept as
    ``<name>_<image_size>.npz`` beside the other file.

    Args:
        dataset: images that lie in memory.
        image_size: side of the new images.

    Raises:
        ConfigurationError: ``image_size`` is not positive.
    """

    def __init__(self, dataset: DatasetSource, image_size: int = 64) -> None:
        self._file = _ResizedFile(dataset, check_size(image_size, "image_size"))
        self.name = self._file.name

    def prepare(self, root: Path) -> None:
        """Fetch the other dataset and resize its images, unless they are there.

        Raises:
            ConfigurationError: the dataset cannot be had, holds no images in memory, or the root cannot be written to.
        """
        self._file.prepare(root)

    def load(self, root: Path) -> DatasetSplits:
        """Read and check the file.

        Raises:
            ConfigurationError: the file is missing or cannot be used.
        """
        return self._file.load(root)


class _ResizedFile(CachedDataset):
    arrays = IMAGE_ARRAYS

    def __init__(self, dataset: DatasetSource, image_size: int) -> None:
        self.dataset = dataset
        self.image_size = image_size
        self.name = f"{dataset.name}_{image_size}"

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any] | ChunkedArray]:
        self.dataset.prepare(root)
        splits = self.dataset.load(root)
        arrays: dict[str, NDArray[Any] | ChunkedArray] = {}
        for part, data in (("train", splits.train), ("test", splits.test)):
            if not isinstance(data, TensorDataset) or data.inputs.dim() != 4:
                raise ConfigurationError(
                    f"data.dataset: Resized needs images that lie in memory; {self.dataset.name} has none"
                )
            shape = (len(data), self.image_size, self.image_size, data.inputs.shape[1])
            arrays[f"{part}_images"] = ChunkedArray(shape, np.uint8, self._resize(data.inputs))
            arrays[f"{part}_labels"] = data.labels.numpy()
        if splits.class_names:
            arrays["class_names"] = np.array(splits.class_names, dtype=np.str_)
        return arrays

    def _resize(self, images: Tensor) -> Iterator[NDArray[np.uint8]]:
        size = (self.image_size, self.image_size)
        for part in images.split(CHUNK):
            resized = F.interpolate(part.float(), size=size, mode="bilinear", antialias=True)
            yield resized.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
