"""Lower bound of ``eps`` in optimizers of float16 weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer

FLOAT16_EPS = 1e-3
"""Minimum ``eps``; it bounds Adam's step where squares of gradients underflow in float16 (gradients below 5e-3)."""


def raise_epsilon(optimizers: Iterable[Optimizer]) -> None:
    """Raise ``eps`` of parameter groups with float16 weights to 1e-3, with a warning.

    The default of Adam and RMSprop, 1e-8, is 0 in float16: a parameter without a gradient would become NaN.

    Example:
        >>> import warnings
        >>> optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2).half())])
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     raise_epsilon([optimizer])
        >>> optimizer.param_groups[0]["eps"]
        0.001
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            eps = group.get("eps")
            if not isinstance(eps, float) or eps >= FLOAT16_EPS:
                continue
            if any(parameter.dtype == torch.float16 for parameter in group["params"]):
                group["eps"] = FLOAT16_EPS
                rank_zero_warn(
                    f"eps of {type(optimizer).__name__} is raised from {eps:g} to {FLOAT16_EPS:g} because the weights "
                    "are float16 (--trainer.precision 16-true); 16-mixed and bf16-true do not need this",
                    category=UserWarning,
                )
