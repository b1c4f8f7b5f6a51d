"""Optimizers of float16 weights must not divide by zero."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer

FLOAT16_EPS = 1e-3
"""Squared gradients below 5e-3 vanish in Adam's float16 averages: the step is then bounded by this term alone."""


def raise_epsilon(optimizers: Iterable[Optimizer]) -> None:
    """Raise ``eps`` of the groups with float16 parameters to 1e-3, with a warning.

    Adam's and RMSprop's default of 1e-8 is 0 in float16, and the first parameter without a gradient becomes NaN.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            eps = group.get("eps")
            if not isinstance(eps, float) or eps >= FLOAT16_EPS:
                continue
            if any(parameter.dtype == torch.float16 for parameter in group["params"]):
                group["eps"] = FLOAT16_EPS
                rank_zero_warn(
                    f"eps of {type(optimizer).__name__} is raised from {eps:g} to {FLOAT16_EPS:g}: the weights are "
                    "float16 (--trainer.precision 16-true); use 16-mixed or bf16-true to keep it",
                    category=UserWarning,
                )
