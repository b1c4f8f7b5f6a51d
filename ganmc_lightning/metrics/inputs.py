"""Validation of the samples passed to metrics and extractors."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ganmc_lightning.batch import RANGE_TOLERANCE, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.pixel_range import is_nearly_black


def check_samples(samples: Tensor) -> Tensor:
    """Validate shape, dtype and range of samples; round float images to uint8.

    Because of rounding, metrics of a generator equal those of its saved images. Float images without negative values
    are rejected, because they are most likely in [0, 1]; constant images, such as zeros, are accepted.

    Args:
        samples: images (N, C, H, W), uint8 in [0, 255] or float in [-1, 1]; or rows (N, D), uint8 or float.

    Returns:
        Images as uint8, rows unchanged.

    Raises:
        ConfigurationError: shape or dtype is invalid, values are NaN or infinite, float images exceed [-1, 1] or are
            probably in [0, 1]. For uint8 images of only zeros and ones, which a collapsed generator may return, there
            is a warning.

    Example:
        >>> check_samples(torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[[  0, 255]]]], dtype=torch.uint8)
    """
    if samples.ndim not in (2, 4):
        raise ConfigurationError(
            f"samples: got shape {tuple(samples.shape)}, expected images (N, C, H, W) or rows (N, D)"
        )
    if not (samples.is_floating_point() or samples.dtype == torch.uint8):
        raise ConfigurationError(
            f"samples: got dtype {samples.dtype}, expected uint8 in [0, 255] or float (images in [-1, 1])"
        )
    if not samples.is_floating_point():
        if samples.ndim == 4 and is_nearly_black(samples):
            warnings.warn(
                "images: got uint8 pixels in [0, 1], which are nearly black; if the images are in [0, 1], multiply by "
                "255 before the conversion to uint8",
                stacklevel=2,
            )
        return samples
    if samples.numel() == 0:
        return samples
    low, high = (value.item() for value in samples.aminmax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # both are NaN where one sample is
        raise ConfigurationError("samples: got NaN or infinity: the generator diverged, or the file is damaged")
    if samples.ndim == 2:
        return samples
    if low < -1 - RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise ConfigurationError(
            f"float images: got the range [{low:.4g}, {high:.4g}], expected [-1, 1]; convert others to uint8"
        )
    if low > -RANGE_TOLERANCE and high - low > RANGE_TOLERANCE:
        raise ConfigurationError(
            f"float images: got the range [{low:.4g}, {high:.4g}], expected [-1, 1]: convert images in [0, 1] by "
            "2 * images - 1, and bright images in [-1, 1] to uint8 in [0, 255]"
        )
    return to_uint8_images(samples)
