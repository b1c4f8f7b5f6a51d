"""Image files in folders of classes: which there are, and how one becomes a tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganmc_lightning.errors import InputError

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_MODES = {1: "L", 3: "RGB"}


def check_size(size: int, key: str) -> int:
    """Return ``size``, a number of pixels.

    Raises:
        InputError: it is not positive; the message names ``key``.
    """
    if size < 1:
        raise InputError(f"{key}: {size} is not a positive number of pixels")
    return size


def read_image(path: Path, image_size: int, shorter_side: int, channels: int) -> Tensor:
    """Decode one image, resize its shorter side and cut a square from the centre.

    The resize is bilinear with antialiasing and rounds as torchvision's ``Resize`` and ``CenterCrop`` do,
    so that published ImageNet weights see the pixels they were scored on.

    Args:
        path: the image file.
        image_size: side of the square.
        shorter_side: length of the shorter side before the cut, at least ``image_size``.
        channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 (channels, image_size, image_size).

    Raises:
        InputError: the file is no readable 8-bit image.
    """
    try:
        with Image.open(path) as file:
            # Pillow clips deeper grey levels at 255, which would turn most of the picture white.
            if file.mode.startswith(("I", "F")):
                raise InputError(f"{path}: {file.mode} pixels have more than 8 bits: convert it to an 8-bit image")
            image = file.convert(_MODES[channels])
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}): replace it or remove it") from error
    square = _resize_and_crop(image, image_size, shorter_side)
    pixels = np.array(square, dtype=np.uint8).reshape(image_size, image_size, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _resize_and_crop(image: Image.Image, image_size: int, shorter_side: int) -> Image.Image:
    width, height = image.size
    short = min(width, height)
    if short != shorter_side:
        size = (shorter_side * width // short, shorter_side * height // short)
        image = image.resize(size, Image.Resampling.BILINEAR)
        width, height = size
    left, top = round((width - image_size) / 2), round((height - image_size) / 2)
    return image.crop((left, top, left + image_size, top + image_size))


def list_classes(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders in ``folder``, sorted.

    Raises:
        InputError: there is no such folder, or no folder in it.
    """
    try:
        names = sorted(e.name for e in folder.iterdir() if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read as a folder ({error.strerror}): it must hold one folder a class"
        ) from error
    if not names:
        raise InputError(f"{folder}: holds no class folders: put the images of each class into one folder")
    return tuple(names)


def list_images(folder: Path, classes: tuple[str, ...]) -> tuple[list[str], Tensor]:
    """List the images in the class folders of ``folder``, sorted by class and name.

    Files that no image format claims by its suffix are passed over, and so are hidden files.

    Args:
        folder: a folder that holds one folder a class.
        classes: the classes in the order of their labels; a class may have no folder here.

    Returns:
        Names relative to ``folder`` and int64 labels (N,).

    Raises:
        InputError: a folder that is no class, a class folder without images.
    """
    files: list[str] = []
    labels: list[int] = []
    label_of = {name: label for label, name in enumerate(classes)}
    for name in list_classes(folder):
        if name not in label_of:
            raise InputError(f"{folder / name}: no such class in the training folder: rename it or remove it")
        images = sorted(
            f.name for f in (folder / name).iterdir() if f.suffix.lower() in _SUFFIXES and not f.name.startswith(".")
        )
        if not images:
            raise InputError(f"{folder / name}: holds no image: add some ({', '.join(sorted(_SUFFIXES))})")
        files.extend(f"{name}/{image}" for image in images)
        labels.extend([label_of[name]] * len(images))
    return files, torch.tensor(labels, dtype=torch.int64)
