"""The range that the pixels of stored images must have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError


def check_bytes(images: Tensor, where: str) -> Tensor:
    """Return uint8 images, after checking that they use more than the two lowest of the 256 levels.

    Images of which every pixel is 0 or 1 were scaled to [0, 1] before they became uint8: the networks would see all of
    them as nearly black. Images that are 0 everywhere are black in either range.

    Args:
        images: uint8, of any shape.
        where: what to call them in a message.

    Raises:
        ConfigurationError: the largest value is 1.

    Example:
        >>> import torch
        >>> check_bytes(torch.tensor([0, 255], dtype=torch.uint8), "images")
        tensor([  0, 255], dtype=torch.uint8)
    """
    if images.numel() and int(images.max()) == 1:
        raise ConfigurationError(
            f"{where} got uint8 pixels in [0, 1], expected the range [0, 255]: multiply them by 255 before they become "
            "uint8"
        )
    return images


def not_bytes(images: NDArray[Any], where: str) -> ConfigurationError:
    """The error of images that are not uint8, with their range and the conversion that it asks for."""
    wanted = "images must be uint8 in 0..255"
    if images.dtype.kind not in "fiub" or images.size == 0:
        return ConfigurationError(f"{where} has dtype {images.dtype}: {wanted}")
    low, high = float(images.min()), float(images.max())
    return ConfigurationError(
        f"{where} has dtype {images.dtype} and values in [{low:g}, {high:g}]: {wanted}{_fix(low, high)}"
    )


def _fix(low: float, high: float) -> str:
    if low >= 0 and high <= 1:
        return ": convert them by (images * 255.0).round().astype(numpy.uint8)"
    if low >= -1 and high <= 1:
        return ": convert them by ((images + 1) * 127.5).round().astype(numpy.uint8)"
    if low >= 0 and high <= np.iinfo(np.uint8).max:
        return ": convert them by images.round().astype(numpy.uint8)"
    return ": scale and convert them"
