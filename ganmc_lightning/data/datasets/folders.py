"""Data sets that are folders of image files, one folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, ImageFileDataset, TensorDataset
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.folders import list_classes, list_images
from ganmc_lightning.io.images import check_size, read_image
from ganmc_lightning.io.pixel_range import check_bytes


class ImageFolder(DatasetSource):
    """A user's own images, ``path/train/<class>/*`` and ``path/test/<class>/*``, held in memory.

    Classes are numbered in the alphabetical order of the training folders, whose names are compared in Unicode's
    composed form (NFC). Each image is turned upright as its EXIF tag says, composited on white where it is
    transparent, resized by its shorter side and cut to a centered square. Hidden folders are never read; a warning
    counts and names the files that are skipped.

    Args:
        path: the folder that holds ``train`` and ``test``.
        image_size: side of the images in pixels.
        channels: 3 for RGB, 1 for gray; files of the other kind are converted.
    """

    def __init__(self, path: str | Path, image_size: int, channels: Literal[1, 3] = 3) -> None:
        self.path = Path(path).expanduser()
        self.image_size = check_size(image_size, "image_size")
        self.channels = channels
        self.name = self.path.resolve().name

    def prepare(self, root: Path) -> None:
        """Check that both folders hold class folders.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        for part in ("train", "test"):
            list_classes(self.path / part)

    def load(self, root: Path) -> DatasetSplits:
        """Decode every image into memory.

        Raises:
            ConfigurationError: a folder is missing or empty, a file is no image or larger than
                :data:`~ganmc_lightning.io.images.MAX_PIXELS`, or all pixels of the images are 0 or 1.
        """
        classes = list_classes(self.path / "train")
        train, test = (self._read(self.path / part, classes) for part in ("train", "test"))
        return DatasetSplits(train, test, len(classes), classes)

    def _read(self, folder: Path, classes: tuple[str, ...]) -> TensorDataset:
        files, labels = list_images(folder, classes)
        size = self.image_size
        images = torch.empty(len(files), self.channels, size, size, dtype=torch.uint8)
        for image, file in zip(images, files, strict=True):
            image.copy_(read_image(folder / file, size, shorter_side=size, channels=self.channels))
        return TensorDataset(check_bytes(images, str(folder)), labels)


class ImageNet(DatasetSource):
    """ImageNet, unpacked to ``path/train/<class>/*`` and ``path/val/<class>/*``, read file by file.

    Nothing is downloaded. The ``val`` images, whose labels are public, are the test samples. The files are listed and
    read as by :class:`ImageFolder`.

    Args:
        path: the folder that holds ``train`` and ``val``.
        image_size: side of the square cut from the centre.
        shorter_side: length the shorter side is resized to before the cut; 256 is the convention that
            published ImageNet accuracies for 224-pixel networks go by.
    """

    name = "imagenet"

    def __init__(self, path: str | Path, image_size: int = 224, shorter_side: int = 256) -> None:
        self.path = Path(path).expanduser()
        self.image_size = check_size(image_size, "image_size")
        self.shorter_side = shorter_side
        if shorter_side < image_size:
            raise ConfigurationError(
                f"shorter_side: {shorter_side} is less than image_size {image_size}: make it larger"
            )

    def prepare(self, root: Path) -> None:
        """Check that both folders hold class folders.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        for part in ("train", "val"):
            list_classes(self.path / part)

    def load(self, root: Path) -> DatasetSplits:
        """List the files; they are decoded when they are asked for.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        classes = list_classes(self.path / "train")
        train, test = (self._list(self.path / part, classes) for part in ("train", "val"))
        return DatasetSplits(train, test, len(classes), classes)

    def _list(self, folder: Path, classes: tuple[str, ...]) -> ImageFileDataset:
        files, labels = list_images(folder, classes)
        return ImageFileDataset(folder, files, labels, self.image_size, self.shorter_side)
