"""Accelerator of training: Apple GPUs have no float64, which metrics use."""

from __future__ import annotations

from lightning.pytorch.accelerators import Accelerator, MPSAccelerator


def resolve_accelerator(accelerator: str | Accelerator = "auto") -> str | Accelerator:
    """Return the accelerator for Lightning's ``Trainer``: the given one, but the CPU where ``"auto"`` is an Apple GPU.

    Example:
        >>> resolve_accelerator("cuda")
        'cuda'
    """
    return "cpu" if accelerator == "auto" and MPSAccelerator.is_available() else accelerator
