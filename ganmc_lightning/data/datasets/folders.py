"""Data sets of image files, one folder per class."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Literal

import torch

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, ImageFileDataset, TensorDataset
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.folders import list_classes, list_images
from ganmc_lightning.io.images import check_size, read_image
from ganmc_lightning.io.pixel_range import check_pixel_range


class _ClassFolders(DatasetSource):
    """Base class of data sets with one folder per split, which contains one folder of images per class."""

    path: Path
    folders: tuple[str, str]  # of the training and the test split

    def prepare(self, root: Path) -> None:
        """Check that the folders of both splits contain class folders.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        for folder in self.folders:
            list_classes(self.path / folder)

    def load(self, root: Path) -> DatasetSplits:
        """List the files of both splits, and decode them if the data set is loaded into memory.

        Raises:
            ConfigurationError: a folder is missing or empty. If files are decoded: a file is not an image or has more
                than :data:`~ganmc_lightning.io.images.MAX_PIXELS` pixels, or all pixels of all images are 0 or 1.
        """
        classes = list_classes(self.path / self.folders[0])
        train, test = (self._read(self.path / folder, classes) for folder in self.folders)
        return DatasetSplits(train, test, len(classes), classes)

    @abstractmethod
    def _read(self, folder: Path, classes: tuple[str, ...]) -> TensorDataset | ImageFileDataset: ...


class ImageFolder(_ClassFolders):
    """Images ``path/train/<class>/*`` and ``path/test/<class>/*``, loaded into memory.

    Classes are numbered in the alphabetical order of the training folders; names are compared in Unicode's composed
    form (NFC). Each image is rotated by its EXIF tag, composited on white if transparent, resized by its shorter
    side and center-cropped to a square. Hidden folders are ignored; a warning lists skipped files.

    Args:
        path: folder that contains ``train`` and ``test``.
        image_size: side of the images in pixels.
        channels: 3 for RGB, 1 for gray; files with other channels are converted.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp())
        >>> for file in ("train/cat/0.png", "train/dog/0.png", "test/cat/1.png", "test/dog/1.png"):
        ...     (path / file).parent.mkdir(parents=True, exist_ok=True)
        ...     Image.new("RGB", (6, 4), "red").save(path / file)
        >>> splits = ImageFolder(path, image_size=4).load(Path())
        >>> splits.class_names, splits.train.inputs.shape
        (('cat', 'dog'), torch.Size([2, 3, 4, 4]))
    """

    folders = ("train", "test")

    def __init__(self, path: str | Path, image_size: int, channels: Literal[1, 3] = 3) -> None:
        self.path = Path(path).expanduser()
        self.image_size = check_size(image_size, "image_size")
        self.channels = channels
        self.name = self.path.resolve().name

    def _read(self, folder: Path, classes: tuple[str, ...]) -> TensorDataset:
        files, labels = list_images(folder, classes)
        size = self.image_size
        images = torch.empty(len(files), self.channels, size, size, dtype=torch.uint8)
        for image, file in zip(images, files, strict=True):
            image.copy_(read_image(folder / file, size, shorter_side=size, channels=self.channels))
        return TensorDataset(check_pixel_range(images, str(folder)), labels)


class ImageNet(_ClassFolders):
    """ImageNet, unpacked to ``path/train/<class>/*`` and ``path/val/<class>/*``, read from files.

    Nothing is downloaded. The ``val`` images, with public labels, are the test samples. Files are listed and read
    as by :class:`ImageFolder`.

    Args:
        path: folder that contains ``train`` and ``val``.
        image_size: side of the square center crop in pixels.
        shorter_side: length of the shorter side after resizing, before the crop; 256 is the convention of published
            ImageNet accuracies of 224-pixel networks.
    """

    name = "imagenet"
    folders = ("train", "val")

    def __init__(self, path: str | Path, image_size: int = 224, shorter_side: int = 256) -> None:
        self.path = Path(path).expanduser()
        self.image_size = check_size(image_size, "image_size")
        self.shorter_side = shorter_side
        if shorter_side < image_size:
            raise ConfigurationError(f"shorter_side: got {shorter_side}, expected at least image_size {image_size}")

    def _read(self, folder: Path, classes: tuple[str, ...]) -> ImageFileDataset:
        files, labels = list_images(folder, classes)
        return ImageFileDataset(folder, files, labels, self.image_size, self.shorter_side)
