"""What every metric asks of the samples it is given."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import encode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.pixel_range import check_bytes

TOLERANCE = 1e-3
"""How far a float image may leave [-1, 1]: rounding does, a wrong range goes much further."""


def check_samples(samples: Tensor) -> Tensor:
    """Refuse samples that would give a number without a meaning.

    Float images are rounded to the 256 levels that image files have, so that a generator and its saved samples
    score the same. Float images without a negative pixel are taken for images in [0, 1] and refused: in [-1, 1] no
    pixel of them would be darker than medium gray. The same image everywhere, such as zeros, passes.

    Args:
        samples: images (N, C, H, W), uint8 in [0, 255] or float in [-1, 1]; or rows (N, D), uint8 or float.

    Returns:
        Images as uint8, rows as they are.

    Raises:
        ConfigurationError: another shape or dtype, NaN or infinity, float images that leave [-1, 1] or look like
            images in [0, 1], or uint8 images of zeros and ones.

    Example:
        >>> check_samples(torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[[  0, 255]]]], dtype=torch.uint8)
    """
    if samples.ndim not in (2, 4):
        raise ConfigurationError(f"samples have shape {tuple(samples.shape)}: give images (N, C, H, W) or rows (N, D)")
    if not (samples.is_floating_point() or samples.dtype == torch.uint8):
        raise ConfigurationError(
            f"samples have dtype {samples.dtype}: give uint8 in 0..255, or float (images in [-1, 1])"
        )
    if not samples.is_floating_point():
        return check_bytes(samples, "images:") if samples.ndim == 4 else samples
    if samples.numel() == 0:
        return samples
    low, high = (value.item() for value in samples.aminmax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # both are NaN where one sample is
        raise ConfigurationError("samples hold NaN or infinity: the generator diverged, or the file is damaged")
    if samples.ndim == 2:
        return samples
    if low < -1 - TOLERANCE or high > 1 + TOLERANCE:
        raise ConfigurationError(
            f"images lie in [{low:.4g}, {high:.4g}]: float images must lie in [-1, 1], others be uint8"
        )
    if low > -TOLERANCE and high - low > TOLERANCE:
        raise ConfigurationError(
            f"float images got the range [{low:.4g}, {high:.4g}], expected [-1, 1]: convert images in [0, 1] by "
            "2 * images - 1; if they are in [-1, 1] without a dark pixel, give them as uint8 in [0, 255]"
        )
    return encode(samples)
