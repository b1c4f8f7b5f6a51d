"""Precision in which a trainer's batches are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor


def autocast(trainer: Trainer | None) -> AbstractContextManager[Any]:
    """Return the trainer's autocast context, for synthesizer and teacher; a null context without mixed precision.

    The contexts of ``bf16-true``, ``16-true`` and ``64-true`` only change the default dtype and are not entered:
    batches are computed in float32 and converted by :func:`convert_inputs`.
    """
    plugin = None if trainer is None else trainer.precision_plugin
    return plugin.forward_context() if isinstance(plugin, MixedPrecision) else nullcontext()


def convert_inputs(inputs: Tensor, trainer: Trainer | None) -> Tensor:
    """Convert inputs to the precision of the trainer's network; unchanged without a trainer."""
    if trainer is None:
        return inputs
    converted: Tensor = trainer.precision_plugin.convert_input(inputs)
    return converted
