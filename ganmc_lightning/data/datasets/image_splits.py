"""Training, validation and test samples of the user's images: splits, image size, memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from ganmc_lightning.data.datasets.base import DatasetSplits, ImageFileDataset, TensorDataset
from ganmc_lightning.data.datasets.duplicates import warn_of_duplicates
from ganmc_lightning.data.datasets.npz import TEST_FRACTION
from ganmc_lightning.data.splits import Split, train_test_indices
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import read_dimensions
from ganmc_lightning.io.pixel_range import check_pixel_range

MEMORY_LIMIT = 2**31
"""Maximum number of bytes of a data set of image files that is loaded into memory; 2 GiB are 14,266 RGB images of 224
pixels. Larger data sets are read from their files in every epoch."""
SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
"""Names of folders, table values and Hugging Face splits for each split, in lower case."""
_MAX_SIZES = 3  # number of image sizes listed in an error


def identify_splits(names: Iterable[str], where: str) -> dict[str, str]:
    """Return which of the names is ``"train"``, ``"val"`` and ``"test"``; other names are ignored.

    Args:
        names: names of folders or splits, in any case.
        where: folder or data set, for error messages.

    Raises:
        ConfigurationError: two names mean one split, e.g. ``val`` and ``valid``.

    Example:
        >>> identify_splits(["Training", "validation", "extra"], "photos")
        {'train': 'Training', 'val': 'validation'}
    """
    found: dict[str, str] = {}
    for name in names:
        split = next((split for split, aliases in SPLIT_NAMES.items() if name.casefold() in aliases), None)
        if split in found:
            raise ConfigurationError(f"{where}: got {found[split]!r} and {name!r}, expected one {split} split")
        if split is not None:
            found[split] = name
    return found


class ImageSizeError(ConfigurationError):
    """Images have several sizes or are not squares, and no size was given."""


def common_image_size(images: Iterable[tuple[Path, bytes | None]], where: str) -> int:
    """Return the side of images that are all squares of one size; only headers are read.

    Args:
        images: paths, and contents that are already in memory.
        where: folder or file, for error messages.

    Raises:
        ImageSizeError: the images have several sizes, or are not squares.
    """
    sizes: dict[tuple[int, int], None] = {}  # in their order
    for path, content in images:
        sizes[read_dimensions(path, content)] = None
        if len(sizes) > _MAX_SIZES:
            break
    (width, height), *others = sizes
    if others or width != height:
        found = ", ".join(f"{w}x{h}" for w, h in itertools.islice(sizes, _MAX_SIZES))
        more = ", ..." if len(sizes) > _MAX_SIZES else ""
        raise ImageSizeError(
            f"{where}: got images of {found}{more} pixels, expected squares of one size, or image_size (--image-size "
            "of ganmc compress), the side to which they are resized and cropped, e.g. 64"
        )
    return width


def load_images(splits: Mapping[str, ImageFileDataset]) -> dict[str, Split]:
    """Decode images into memory, unless they have more than :data:`MEMORY_LIMIT` bytes in total.

    Raises:
        ConfigurationError: a file is not an image, or all pixels of all images of a split are 0 or 1.
    """
    pixels = sum(len(data) * torch.Size(data.sample_shape).numel() for data in splits.values())
    if pixels > MEMORY_LIMIT:
        return dict(splits)
    return {name: _decode(data) for name, data in splits.items()}


def _decode(data: ImageFileDataset) -> TensorDataset:
    images = torch.empty(len(data), *data.sample_shape, dtype=torch.uint8)
    for index, image in enumerate(images):
        image.copy_(data[index][0])
    return TensorDataset(check_pixel_range(images, str(data.folder)), data.labels)


def make_splits(splits: Mapping[str, Split], classes: Sequence[str], num_classes: int, where: str) -> DatasetSplits:
    """Arrange the given splits, cut missing ones, and validate classes and duplicates.

    With training, validation and test samples, each split is used as it is. With training and validation samples, the
    latter are the test samples, as in ImageNet: a teacher was usually trained on all training samples, so no other
    samples are new to it. With training samples only, a stratified, seeded share of
    :data:`~ganmc_lightning.data.datasets.npz.TEST_FRACTION` are the test samples.

    Args:
        splits: ``"train"`` and optionally ``"val"`` and ``"test"``.
        classes: class names in the order of the labels; empty for unnamed classes.
        num_classes: K.
        where: folder or file, for messages.

    Raises:
        ConfigurationError: there are fewer than two classes, a class has no training sample, or there are too few
            samples for a test split.
    """
    if num_classes < 2:
        raise ConfigurationError(f"{where}: got {num_classes} class, expected at least 2")
    train, validation, test = splits["train"], splits.get("val"), splits.get("test")
    _check_classes(splits, classes, num_classes, where)
    if test is None and validation is not None:
        validation, test = None, validation
    if test is None:
        kept, held_out = train_test_indices(train.labels, TEST_FRACTION, where)
        train, test = train.subset(kept), train.subset(held_out)
    others = [train] if validation is None else [train, validation]
    warn_of_duplicates(others, test, where)
    return DatasetSplits(train, test, num_classes, tuple(classes), validation=validation)


def _check_classes(splits: Mapping[str, Split], classes: Sequence[str], num_classes: int, where: str) -> None:
    present = set(splits["train"].labels.tolist())
    for name, split in splits.items():
        if len(split) == 0:
            raise ConfigurationError(f"{where}: got no {name} samples, expected at least one")
        for label in sorted({*split.labels.tolist()} - present):
            known = f"class {classes[label]!r}" if classes else f"label {label}"
            raise ConfigurationError(
                f"{where}: got {known} in the {name} split, expected a class of the training samples"
            )
    if missing := sorted(set(range(num_classes)) - present):
        raise ConfigurationError(f"{where}: got no training samples of class {missing[0]}, expected every class")
