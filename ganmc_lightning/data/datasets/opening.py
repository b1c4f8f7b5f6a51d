"""Choose the data set class for a path or a name."""

from __future__ import annotations

import difflib
from pathlib import Path

from ganmc_lightning.data.datasets.base import DatasetSource
from ganmc_lightning.data.datasets.files import NpzFile
from ganmc_lightning.data.datasets.folders import ImageFolder
from ganmc_lightning.data.datasets.huggingface import HuggingFaceDataset, is_saved_to_disk
from ganmc_lightning.data.datasets.image_table import TABLE_SUFFIXES, ImageTable
from ganmc_lightning.data.datasets.images import CIFAR10, CIFAR100, MNIST, SVHN, Digits, FashionMNIST
from ganmc_lightning.exceptions import ConfigurationError

_HUGGING_FACE = "hf:"
_NAMED = {dataset.name: dataset for dataset in (Digits, MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN)}
_FORMS = "a folder of images, an .npz file, a .csv, .tsv or .parquet table, hf:NAME_OR_FOLDER"


def open_dataset(path: str, *, image_size: int | None = None, channels: int | None = None) -> DatasetSource:
    """Return the data set of images at a path, by its type; nothing is read except the names of files.

    Args:
        path: one of

            - a folder of images, see :class:`ImageFolder`;
            - an ``.npz`` file, see :class:`NpzFile`;
            - a ``.csv``, ``.tsv`` or ``.parquet`` table of image files and labels, see :class:`ImageTable`, optionally
              followed by ``:IMAGE_COLUMN:LABEL_COLUMN``;
            - ``hf:NAME_OR_FOLDER``, see :class:`HuggingFaceDataset`, optionally followed by
              ``:IMAGE_COLUMN:LABEL_COLUMN``; a folder of ``Dataset.save_to_disk`` is recognized without ``hf:``;
            - the name of a built-in data set of images, e.g. ``digits`` or ``cifar10``.
        image_size: side in pixels to which images are resized and cropped; None keeps images of one size. Only for
            image files.
        channels: 3 for RGB, 1 for gray; None is RGB, or the channels of an ``.npz`` file. Only for image files.

    Raises:
        ConfigurationError: nothing is found at the path, or a size or channels are invalid, or given for stored arrays.

    Example:
        >>> open_dataset("digits").name
        'digits'
        >>> open_dataset("hf:beans:image:labels", image_size=64).label_column
        'labels'
    """
    place, image_column, label_column = _split_columns(path.removeprefix(_HUGGING_FACE))
    file = Path(place).expanduser()
    if path.startswith(_HUGGING_FACE) or (file.is_dir() and is_saved_to_disk(file)):
        return HuggingFaceDataset(place, image_column, label_column, image_size, channels or 3)
    if file.suffix.lower() in TABLE_SUFFIXES and file.is_file():
        return ImageTable(place, image_column, label_column, image_size=image_size, channels=channels or 3)
    file = Path(path).expanduser()
    if file.is_dir():
        return ImageFolder(path, image_size, channels or 3)
    if file.suffix == ".npz" or path in _NAMED:
        for key, value in (("image_size", image_size), ("channels", channels)):
            if value is not None:
                raise ConfigurationError(f"{key}: got {value} for {path}, whose images have one size, expected null")
        return NpzFile(path) if file.suffix == ".npz" else _NAMED[path]()
    raise _unknown(path)


def _split_columns(path: str) -> tuple[str, str | None, str | None]:
    """Split ``PLACE:IMAGE_COLUMN:LABEL_COLUMN``; a colon of a drive letter (``C:``) stays in the place."""
    parts = path.rsplit(":", 2)
    if len(parts) == 3 and parts[0]:
        return parts[0], parts[1] or None, parts[2] or None
    return path, None, None


def _unknown(path: str) -> ConfigurationError:
    similar = difflib.get_close_matches(path, [*_NAMED, *map(str, Path().glob("*"))], n=1)
    hint = f"; did you mean {similar[0]}?" if similar else ""
    return ConfigurationError(f"{path}: not found, expected {_FORMS}, or one of {', '.join(_NAMED)}{hint}")
