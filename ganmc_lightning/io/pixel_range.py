"""Check the pixel range of stored images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError


def is_nearly_black(images: Tensor) -> bool:
    """Whether the largest pixel of uint8 images is 1."""
    return images.numel() > 0 and int(images.max()) == 1


def check_pixel_range(images: Tensor, name: str) -> Tensor:
    """Return uint8 images after checking that their pixels are not in [0, 1].

    Images with only 0 and 1 were scaled to [0, 1] before the conversion to uint8 and would be nearly black. Images with
    only 0 are valid, because they are black in both ranges.

    Args:
        images: uint8, any shape.
        name: file and array, for error messages.

    Raises:
        ConfigurationError: the largest pixel is 1.

    Example:
        >>> import torch
        >>> check_pixel_range(torch.tensor([0, 255], dtype=torch.uint8), "images")
        tensor([  0, 255], dtype=torch.uint8)
    """
    if is_nearly_black(images):
        raise ConfigurationError(
            f"{name}: got uint8 pixels in [0, 1], expected [0, 255]; multiply by 255 before the conversion to uint8"
        )
    return images


def pixel_range_error(images: NDArray[Any], name: str) -> ConfigurationError:
    """Return the error for images that are not uint8, with their range and the required conversion."""
    expected = "expected uint8 pixels in [0, 255]"
    if images.dtype.kind not in "fiub" or images.size == 0:
        return ConfigurationError(f"{name}: got dtype {images.dtype}, {expected}")
    low, high = float(images.min()), float(images.max())
    return ConfigurationError(
        f"{name}: got dtype {images.dtype} and values in [{low:g}, {high:g}], {expected}{_fix(low, high)}"
    )


def _fix(low: float, high: float) -> str:
    if low >= 0 and high <= 1:
        return "; convert them with (images * 255.0).round().astype(numpy.uint8)"
    if low >= -1 and high <= 1:
        return "; convert them with ((images + 1) * 127.5).round().astype(numpy.uint8)"
    if low >= 0 and high <= np.iinfo(np.uint8).max:
        return "; convert them with images.round().astype(numpy.uint8)"
    return "; scale and convert them"
