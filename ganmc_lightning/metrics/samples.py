"""What every metric asks of the samples it is given."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import encode
from ganmc_lightning.errors import InputError

TOLERANCE = 1e-3
"""How far a float image may leave [-1, 1]: rounding does, a wrong range goes much further."""


def check_samples(samples: Tensor) -> Tensor:
    """Refuse samples that would give a number without a meaning.

    Float images are rounded to the 256 levels that image files have, so that a generator and its saved samples
    score the same.

    Args:
        samples: images (N, C, H, W), uint8 or float in [-1, 1]; or rows (N, D), uint8 or float.

    Returns:
        Images as uint8, rows as they are.

    Raises:
        InputError: another shape or dtype, NaN or infinity, or images that leave [-1, 1].

    Example:
        >>> check_samples(torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[[  0, 255]]]], dtype=torch.uint8)
    """
    if samples.ndim not in (2, 4):
        raise InputError(f"samples have shape {tuple(samples.shape)}: give images (N, C, H, W) or rows (N, D)")
    if not (samples.is_floating_point() or samples.dtype == torch.uint8):
        raise InputError(f"samples have dtype {samples.dtype}: give uint8 in 0..255, or float (images in [-1, 1])")
    if not samples.is_floating_point() or samples.numel() == 0:
        return samples
    low, high = (value.item() for value in samples.aminmax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # both are NaN where one sample is
        raise InputError("samples hold NaN or infinity: the generator diverged, or the file is damaged")
    if samples.ndim == 2:
        return samples
    if low < -1 - TOLERANCE or high > 1 + TOLERANCE:
        raise InputError(f"images lie in [{low:.4g}, {high:.4g}]: float images must lie in [-1, 1], others be uint8")
    return encode(samples)
