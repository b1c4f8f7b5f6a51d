"""List the images in a folder, with a warning about skipped files."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.class_names import normalize_name

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of image files, in lower case."""
_MAX_NAMES = 5  # number of skipped files listed in a warning


def list_classes(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders in ``folder``, in Unicode's composed form, without hidden folders.

    Raises:
        ConfigurationError: the folder does not exist, contains no folders, or contains two folders with names that
            differ only in their Unicode form.
    """
    names = sorted(normalize_name(entry.name) for entry in _entries(folder) if _is_class(entry))
    if not names:
        raise ConfigurationError(f"{folder}: got no class folders, expected one folder of images per class")
    for name, following in itertools.pairwise(names):
        if name == following:
            raise ConfigurationError(
                f"{folder}: got two folders {name!r} in different Unicode forms (NFC, NFD), expected one per class"
            )
    return tuple(names)


def list_images(folder: Path, classes: Sequence[str]) -> tuple[list[str], Tensor]:
    """List the images in the class folders of ``folder``, sorted by class and name.

    Hidden folders are ignored. A warning lists skipped entries: files with a suffix not in :data:`IMAGE_SUFFIXES`,
    hidden files, folders in class folders, and files next to the class folders.

    Args:
        folder: folder that contains one folder per class.
        classes: class names in the order of the labels, in Unicode's composed form; a class may have no folder.

    Returns:
        File names relative to ``folder`` and int64 labels (N,).

    Raises:
        ConfigurationError: a folder is not a class, or a class folder contains no images.
    """
    list_classes(folder)
    files: list[str] = []
    labels: list[int] = []
    label_of = {name: label for label, name in enumerate(classes)}
    entries = sorted(_entries(folder), key=lambda entry: normalize_name(entry.name))
    skipped = [entry.name for entry in entries if not _is_folder(entry)]
    for entry in filter(_is_class, entries):
        name = normalize_name(entry.name)
        if name not in label_of:
            raise ConfigurationError(f"{folder / name}: not a class, expected the class names of the training folder")
        images, others = _images_of(folder / entry.name)
        files.extend(f"{entry.name}/{image}" for image in images)
        labels.extend([label_of[name]] * len(images))
        skipped.extend(f"{entry.name}/{other}" for other in others)
    _warn_of_skipped(folder, skipped)
    return files, torch.tensor(labels, dtype=torch.int64)


def list_folders(folder: Path) -> list[str]:
    """Return the sorted names of the folders in ``folder``, without hidden folders.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    return sorted(entry.name for entry in _entries(folder) if _is_class(entry))


def contains_images(folder: Path) -> bool:
    """Return whether ``folder`` itself contains an image, by the suffixes of the file names.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    return any(not _is_folder(entry) and _is_image(entry.name) for entry in _entries(folder))


def find_images(folder: Path) -> list[Path]:
    """Return all images below ``folder``, at any depth, sorted by path.

    Hidden folders are ignored. A warning lists skipped files: files with a suffix not in :data:`IMAGE_SUFFIXES`, and
    hidden files.

    Raises:
        ConfigurationError: a folder cannot be read, or contains no images.
    """
    images: list[Path] = []
    skipped: list[str] = []
    for file in _files_below(folder):
        if _is_image(file.name):
            images.append(file)
        else:
            skipped.append(str(file.relative_to(folder)))
    if not images:
        raise ConfigurationError(f"{folder}: got no images, expected files of type {', '.join(sorted(IMAGE_SUFFIXES))}")
    _warn_of_skipped(folder, sorted(skipped))
    return sorted(images)


def is_later_process() -> bool:
    """Return whether another process of the run issues the warnings."""
    return torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank() > 0


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: cannot be read ({error.strerror}), expected a folder that contains one folder per class"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_class(entry: os.DirEntry[str]) -> bool:
    return _is_folder(entry) and not entry.name.startswith(".")


def _is_image(name: str) -> bool:
    return not name.startswith(".") and PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def _images_of(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of images in a class folder, and of all other entries except hidden folders."""
    images: list[str] = []
    others: list[str] = []
    for entry in _entries(folder):
        if _is_folder(entry):
            others.extend([] if entry.name.startswith(".") else [f"{entry.name}/"])
        else:
            (images if _is_image(entry.name) else others).append(entry.name)
    if not images:
        raise ConfigurationError(f"{folder}: got no images, expected files of type {', '.join(sorted(IMAGE_SUFFIXES))}")
    return sorted(images), sorted(others)


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if not _is_folder(entry) or entry.is_symlink():  # a linked folder may point to its parent, so it is ignored
            yield folder / entry.name
        elif not entry.name.startswith("."):
            yield from _files_below(folder / entry.name)


def _warn_of_skipped(folder: Path, skipped: Sequence[str]) -> None:
    if skipped and not is_later_process():
        more = f" and {len(skipped) - _MAX_NAMES} more" if len(skipped) > _MAX_NAMES else ""
        entries = "entry that is not an image" if len(skipped) == 1 else "entries that are not images"
        warnings.warn(
            f"{folder}: skipped {len(skipped)} {entries}: {', '.join(skipped[:_MAX_NAMES])}{more}",
            stacklevel=3,
        )
