"""A data set at another size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.data.sources.base import ArrayDataset, Source, Splits
from ganmc_lightning.data.sources.cached import CachedSource
from ganmc_lightning.data.sources.npz import IMAGE_ARRAYS
from ganmc_lightning.errors import InputError
from ganmc_lightning.files.images import check_size
from ganmc_lightning.files.npz import Chunks

CHUNK = 1024


class Resized(Source):
    """The images of another source at another size, such as the 64 pixels of GAN-KD.

    They are resized once, bilinearly and with smoothing where they shrink, and kept as
    ``<name>_<image_size>.npz`` beside the other file.

    Args:
        source: images that lie in memory.
        image_size: side of the new images.

    Raises:
        InputError: ``image_size`` is not positive.
    """

    def __init__(self, source: Source, image_size: int = 64) -> None:
        self._file = _ResizedFile(source, check_size(image_size, "image_size"))
        self.name = self._file.name

    def prepare(self, root: Path) -> None:
        """Fetch the other source and resize its images, unless they are there.

        Raises:
            InputError: the source cannot be had, holds no images in memory, or the root cannot be written to.
        """
        self._file.prepare(root)

    def load(self, root: Path) -> Splits:
        """Read and check the file.

        Raises:
            InputError: the file is missing or cannot be used.
        """
        return self._file.load(root)


class _ResizedFile(CachedSource):
    arrays = IMAGE_ARRAYS

    def __init__(self, source: Source, image_size: int) -> None:
        self.source = source
        self.image_size = image_size
        self.name = f"{source.name}_{image_size}"

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any] | Chunks]:
        self.source.prepare(root)
        splits = self.source.load(root)
        arrays: dict[str, NDArray[Any] | Chunks] = {}
        for part, data in (("train", splits.train), ("test", splits.test)):
            if not isinstance(data, ArrayDataset) or data.inputs.dim() != 4:
                raise InputError(f"data.source: Resized needs images that lie in memory; {self.source.name} has none")
            shape = (len(data), self.image_size, self.image_size, data.inputs.shape[1])
            arrays[f"{part}_images"] = Chunks(shape, np.uint8, self._resize(data.inputs))
            arrays[f"{part}_labels"] = data.labels.numpy()
        if splits.class_names:
            arrays["class_names"] = np.array(splits.class_names, dtype=np.str_)
        return arrays

    def _resize(self, images: Tensor) -> Iterator[NDArray[np.uint8]]:
        size = (self.image_size, self.image_size)
        for part in images.split(CHUNK):
            resized = F.interpolate(part.float(), size=size, mode="bilinear", antialias=True)
            yield resized.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
