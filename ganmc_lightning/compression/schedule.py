"""Learning rate schedule of the students, by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(step: int, steps: int, warmup_steps: int) -> float:
    """Return the factor of the learning rate: linear increase to 1, then half a cosine to 0.

    Distillation profits from long schedules of this form (Beyer et al. 2022, section 3).

    Args:
        step: index of the step, from 0.
        steps: number of steps.
        warmup_steps: number of steps of the increase, less than ``steps``.

    Example:
        >>> [round(warmup_cosine(step, 10, 2), 2) for step in (0, 1, 2, 6, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return (1 + math.cos(math.pi * min(1.0, (step - warmup_steps) / (steps - warmup_steps)))) / 2


def cosine_schedule(steps: int, warmup: float) -> Callable[[Optimizer], Any]:
    """Return the function from an optimizer to Lightning's configuration of a schedule that is stepped in each batch.

    Args:
        steps: number of steps of the training.
        warmup: share of the steps in which the learning rate increases, in [0, 1).
    """
    factor = partial(warmup_cosine, steps=steps, warmup_steps=int(warmup * steps))

    def make(optimizer: Optimizer) -> dict[str, object]:
        return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}

    return make
