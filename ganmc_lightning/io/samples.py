"""Read stored samples: ``.npz`` files and image files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import list_arrays, read_array, to_image_tensor, to_row_tensor
from ganmc_lightning.io.folders import find_images
from ganmc_lightning.io.images import decode_image, read_image
from ganmc_lightning.io.pixel_range import check_pixel_range

SCALED = "X_scaled"
"""Array of scaled rows in a file of ``ganmc sample``; ``X`` has the units of the table."""


def check_shape(samples: Tensor, shape: Sequence[int], path: str) -> None:
    """Raise :class:`ConfigurationError` if samples (N, ...) do not have the shape of the data."""
    if tuple(samples.shape[1:]) != tuple(shape):
        raise ConfigurationError(
            f"{path}: got samples of shape {tuple(samples.shape[1:])}, expected the shape of the data, {tuple(shape)}"
        )


def read_npz_samples(path: Path) -> Tensor:
    """Read the samples of an ``.npz`` file.

    Args:
        path: file with ``images`` uint8 (N, H, W, C), or scaled rows ``X_scaled``, else ``X``, float (N, D).

    Returns:
        uint8 images (N, C, H, W) or float32 rows (N, D).

    Raises:
        ConfigurationError: the file is missing or damaged, or does not contain these arrays.
    """
    arrays = list_arrays(path)
    if "images" in arrays:
        return to_image_tensor(read_array(path, "images"), f"{path}: images")
    name = SCALED if SCALED in arrays else "X"
    if name not in arrays:
        raise ConfigurationError(
            f"{path}: got the arrays {', '.join(arrays) or '(none)'}, expected images uint8 (N, H, W, C) or scaled "
            "rows X (N, D)"
        )
    return to_row_tensor(read_array(path, name), f"{path}: {name}").to(torch.float32)


def check_image_shape(folder: Path, shape: Sequence[int]) -> None:
    """Raise :class:`ConfigurationError` if an image folder cannot provide samples of this shape."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ConfigurationError(
            f"{folder}: got an image folder for samples of shape {tuple(shape)}, expected shape (1 or 3, H, W): use an "
            ".npz file"
        )


def read_folder_samples(folder: Path, shape: Sequence[int]) -> Tensor:
    """Read all images below a folder in the order of their paths, without resizing.

    Args:
        folder: folder of image files, searched recursively.
        shape: shape (C, H, W) of one sample.

    Returns:
        uint8 images (N, C, H, W).

    Raises:
        ConfigurationError: an image is unreadable or has another size, or there are no images.
    """
    check_image_shape(folder, shape)
    channels, height, width = shape

    def read(path: Path) -> Tensor:
        image = decode_image(path, channels)
        if tuple(image.shape) != tuple(shape):
            raise ConfigurationError(
                f"{path}: got {image.shape[2]}x{image.shape[1]} pixels, expected {width}x{height}: images are not "
                "resized automatically because resampling changes the metrics"
            )
        return image

    return check_pixel_range(torch.stack([read(path) for path in find_images(folder)]), str(folder))


def read_resized_samples(folder: Path, files: Sequence[str], shape: Sequence[int]) -> Tensor:
    """Read images, resize them and crop them to squares.

    Args:
        folder: folder of the files.
        files: paths relative to ``folder``.
        shape: shape (C, H, W) of one sample, H = W.

    Returns:
        uint8 images (N, C, H, W).
    """
    channels, size, _ = shape
    return check_pixel_range(
        torch.stack([read_image(folder / file, size, size, channels) for file in files]), str(folder)
    )


def sample_digests(samples: Iterable[Tensor]) -> Iterator[bytes]:
    """Return a hash of each sample on the CPU, which is equal only for identical samples."""
    return (hashlib.blake2b(sample.numpy().tobytes(), digest_size=16).digest() for sample in samples)


def check_scaled(rows: Tensor, real: Tensor, path: str) -> None:
    """Validate that rows have the scale of the real rows.

    Args:
        rows: float (N, D).
        real: scaled real rows (M, D).
        path: path of the rows, for the message.

    Raises:
        ConfigurationError: more than half of the values of a column are outside its real range by more than its width.
    """
    low, high = real.amin(dim=0).to(rows.device), real.amax(dim=0).to(rows.device)
    width = (high - low).clamp(min=1.0)
    beyond = ((rows < low - width) | (rows > high + width)).float().mean(dim=0) > 0.5
    if beyond.any():
        column = int(beyond.int().argmax())
        raise ConfigurationError(
            f"{path}: column {column}: got the median {rows[:, column].median():.4g}, expected scaled rows in "
            f"[{low[column]:.3g}, {high[column]:.3g}], as `ganmc sample` writes them in {SCALED}"
        )
