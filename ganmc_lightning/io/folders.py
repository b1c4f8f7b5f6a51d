"""Folders of image files: which images they hold, and what was skipped."""

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

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of the files that are read as images, in lower case."""
_NAMED = 5


def list_classes(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders in ``folder``, sorted, in Unicode's composed form.

    Hidden folders are no classes.

    Raises:
        ConfigurationError: there is no such folder, no folder in it, or two whose names differ in their Unicode form
            only.
    """
    names = sorted(normalize_name(entry.name) for entry in _entries(folder) if _is_class(entry))
    if not names:
        raise ConfigurationError(f"{folder}: holds no class folders: put the images of each class into one folder")
    for name, following in itertools.pairwise(names):
        if name == following:
            raise ConfigurationError(
                f"{folder}: holds two folders {name!r}, whose names differ in their Unicode form (NFC, NFD) only: "
                "move the images into one of them"
            )
    return tuple(names)


def list_images(folder: Path, classes: Sequence[str]) -> tuple[list[str], Tensor]:
    """List the images in the class folders of ``folder``, sorted by class and name.

    Hidden folders are never read. One warning counts and names what is skipped: files whose suffix is none of
    :data:`SUFFIXES`, hidden files, folders in class folders, and files beside the class folders.

    Args:
        folder: a folder that holds one folder a class.
        classes: the classes in the order of their labels, in Unicode's composed form; a class may have no folder here.

    Returns:
        Names relative to ``folder`` and int64 labels (N,).

    Raises:
        ConfigurationError: a folder that is no class, a class folder without images.
    """
    list_classes(folder)
    files: list[str] = []
    labels: list[int] = []
    label_of = {name: label for label, name in enumerate(classes)}
    entries = sorted(_entries(folder), key=lambda entry: normalize_name(entry.name))
    skipped = [entry.name for entry in entries if not entry.is_dir()]
    for entry in filter(_is_class, entries):
        name = normalize_name(entry.name)
        if name not in label_of:
            raise ConfigurationError(f"{folder / name}: no such class in the training folder: rename it or remove it")
        images, others = _images_of(folder / entry.name)
        files.extend(f"{entry.name}/{image}" for image in images)
        labels.extend([label_of[name]] * len(images))
        skipped.extend(f"{entry.name}/{other}" for other in others)
    _warn_of_skipped(folder, skipped)
    return files, torch.tensor(labels, dtype=torch.int64)


def find_images(folder: Path) -> list[Path]:
    """Return all images below ``folder``, however deep, sorted by path.

    Hidden folders are never read. One warning counts and names the files that are skipped: those whose suffix is
    none of :data:`SUFFIXES`, and hidden ones.

    Raises:
        ConfigurationError: a folder cannot be read, or there is no image.
    """
    images: list[Path] = []
    skipped: list[str] = []
    for file in _files_below(folder):
        if _is_image(file.name):
            images.append(file)
        else:
            skipped.append(str(file.relative_to(folder)))
    if not images:
        raise ConfigurationError(f"{folder}: holds no image: add some ({', '.join(sorted(SUFFIXES))})")
    _warn_of_skipped(folder, sorted(skipped))
    return sorted(images)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: cannot be read as a folder ({error.strerror}): it must hold one folder a class"
        ) from error


def _is_class(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _is_image(name: str) -> bool:
    return not name.startswith(".") and PurePath(name).suffix.lower() in SUFFIXES


def _images_of(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the images in a class folder, and of what else is there besides hidden folders."""
    images: list[str] = []
    others: list[str] = []
    for entry in _entries(folder):
        if entry.is_dir():
            others.extend([] if entry.name.startswith(".") else [f"{entry.name}/"])
        else:
            (images if _is_image(entry.name) else others).append(entry.name)
    if not images:
        raise ConfigurationError(f"{folder}: holds no image: add some ({', '.join(sorted(SUFFIXES))})")
    return sorted(images), sorted(others)


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if not entry.is_dir() or entry.is_symlink():  # a linked folder may lead back to one above: it is not read
            yield folder / entry.name
        elif not entry.name.startswith("."):
            yield from _files_below(folder / entry.name)


def _is_later_process() -> bool:
    """Whether another process of the same run says the same."""
    return torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank() > 0


def _warn_of_skipped(folder: Path, skipped: Sequence[str]) -> None:
    if skipped and not _is_later_process():
        more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        warnings.warn(
            f"{folder}: skipped {len(skipped)}, which {'is' if len(skipped) == 1 else 'are'} not read as images: "
            f"{', '.join(skipped[:_NAMED])}{more}",
            stacklevel=3,
        )
