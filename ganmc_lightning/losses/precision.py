"""Floating-point precision of losses and means."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Convert float16 and bfloat16 to float32; return float32 and float64 unchanged.

    Networks may run in half precision, but sums over classes, features and batches need more: bfloat16 has 8
    significant bits, and float16 overflows at 65,504.

    Example:
        >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype, at_least_float32(torch.ones(2).double()).dtype
        (torch.float32, torch.float64)
    """
    if values.dtype in (torch.float32, torch.float64):  # without the calls below, because every step has several
        return values
    return values.to(torch.promote_types(values.dtype, torch.float32))
