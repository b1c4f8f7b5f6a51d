"""Data sets of image files, one folder per class."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, ImageFileDataset
from ganmc_lightning.data.datasets.image_splits import (
    common_image_size,
    identify_splits,
    load_images,
    make_splits,
)
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.folders import contains_images, list_classes, list_folders, list_images
from ganmc_lightning.io.images import check_channels, check_size

_LAYOUT = "expected one folder of images per class, or folders train and test that contain the class folders"


class ImageFolder(DatasetSource):
    """Images in class folders: ``path/<class>/*``, or ``path/train/<class>/*`` and ``path/test/<class>/*``.

    Of class folders without splits, a fifth of the images become test samples, stratified by class and equally in every
    run. Splits in folders are used as they are: ``train``, ``val`` and ``test`` (also ``training``, ``valid``,
    ``validation`` and ``testing``). With ``train`` and ``val`` only, ``val`` contains the test samples, as in ImageNet:
    a teacher was usually trained on all of ``train``.

    Classes are numbered in the alphabetical order of the training folders; names are compared in Unicode's composed
    form (NFC). Each image is rotated by its EXIF tag, composited on white if transparent, resized by its shorter
    side and center-cropped to a square. Hidden folders are ignored; a warning lists skipped files.

    Images are loaded into memory, unless they have more than
    :data:`~ganmc_lightning.data.datasets.image_splits.MEMORY_LIMIT` bytes; then ``num_workers`` processes of the data
    module read them from the files in every epoch. A warning counts test images in memory that are identical to other
    images.

    Args:
        path: folder that contains the class folders, or the folders of the splits.
        image_size: side of the images in pixels; None if all images are squares of one size, which is used.
        channels: 3 for RGB (default), 1 for gray; files with other channels are converted.

    Raises:
        ConfigurationError: ``image_size`` is not positive, or ``channels`` is not 1 or 3.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp())
        >>> for k in range(10):
        ...     file = path / ("cat", "dog")[k % 2] / f"{k}.png"
        ...     file.parent.mkdir(exist_ok=True)
        ...     Image.new("RGB", (6, 4), (20 * k, 0, 0)).save(file)
        >>> splits = ImageFolder(path, image_size=4).load(Path())
        >>> splits.class_names, splits.train.inputs.shape, len(splits.test)
        (('cat', 'dog'), torch.Size([8, 3, 4, 4]), 2)
    """

    def __init__(self, path: str | Path, image_size: int | None = None, channels: int = 3) -> None:
        self.path = Path(path).expanduser()
        self.image_size = None if image_size is None else check_size(image_size, "image_size")
        self.channels = check_channels(channels, "channels")
        self.name = self.path.resolve().name

    def prepare(self, root: Path) -> None:
        """Check that the folders contain class folders.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        for folder in self._split_folders().values():
            list_classes(folder)

    def load(self, root: Path) -> DatasetSplits:
        """List the files of all splits, and decode them if they fit into memory.

        Raises:
            ConfigurationError: a folder is missing or empty, images have several sizes and ``image_size`` is None, or
                there is one class. If files are decoded: a file is not an image or has more than
                :data:`~ganmc_lightning.io.images.MAX_PIXELS` pixels, or all pixels of all images are 0 or 1.
        """
        folders = self._split_folders()
        classes = list_classes(folders["train"])
        listed = {split: list_images(folder, classes) for split, folder in folders.items()}
        size = self.image_size
        if size is None:
            files = ((folders[split] / name, None) for split, (names, _) in listed.items() for name in names)
            size = common_image_size(files, str(self.path))
        splits = {
            split: ImageFileDataset(folders[split], files, labels, size, size, self.channels)
            for split, (files, labels) in listed.items()
        }
        return make_splits(load_images(splits), classes, len(classes), str(self.path))

    def _split_folders(self) -> dict[str, Path]:
        """Return the folder of each split; that of all images as ``"train"`` if there are no split folders."""
        names = list_folders(self.path)
        found = {split: self.path / name for split, name in identify_splits(names, str(self.path)).items()}
        # A class may have the name of a split, e.g. the class "train" of a data set of vehicles.
        if "train" in found and (list_folders(found["train"]) or not contains_images(found["train"])):
            return found
        if len(found) == len(names):
            raise ConfigurationError(f"{self.path}: got {', '.join(names) or 'no class folders'}, {_LAYOUT}")
        return {"train": self.path}


class ImageNet(DatasetSource):
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

    def __init__(self, path: str | Path, image_size: int = 224, shorter_side: int = 256) -> None:
        self.path = Path(path).expanduser()
        self.image_size = check_size(image_size, "image_size")
        self.shorter_side = shorter_side
        if shorter_side < image_size:
            raise ConfigurationError(f"shorter_side: got {shorter_side}, expected at least image_size {image_size}")

    def prepare(self, root: Path) -> None:
        """Check that the folders of both splits contain class folders.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        for folder in ("train", "val"):
            list_classes(self.path / folder)

    def load(self, root: Path) -> DatasetSplits:
        """List the files of both splits.

        Raises:
            ConfigurationError: a folder is missing or empty.
        """
        classes = list_classes(self.path / "train")
        train, test = (self._read(self.path / folder, classes) for folder in ("train", "val"))
        return DatasetSplits(train, test, len(classes), classes)

    def _read(self, folder: Path, classes: tuple[str, ...]) -> ImageFileDataset:
        files, labels = list_images(folder, classes)
        return ImageFileDataset(folder, files, labels, self.image_size, self.shorter_side)
