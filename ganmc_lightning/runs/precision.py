"""Precision of training that is fast on this machine and accurate enough: bf16-mixed or float32."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.accelerators import Accelerator
from torch import nn

TrainingPrecision = Literal["32-true", "bf16-mixed"]
CPUINFO = Path("/proc/cpuinfo")
CPU_FLAGS = {"amx_bf16", "avx512_bf16"}
"""Instruction sets with products of bfloat16 matrices."""


def resolve_precision(accelerator: str | Accelerator = "auto", network: nn.Module | None = None) -> TrainingPrecision:
    """Return the precision of ``trainer.precision: auto`` on this machine, for Lightning's ``Trainer(precision=...)``.

    It is ``"bf16-mixed"`` on GPUs of compute capability 8.0 or higher and on CPUs with AMX-BF16 or AVX512-BF16, else
    ``"32-true"``. On CPUs, it is also ``"32-true"`` if most parameters belong to networks with depthwise convolutions,
    such as MobileNets, in which casts take longer than the arithmetic that they save. It depends on the layers and not
    on a measurement, so that a repeated run has the same precision.

    Args:
        accelerator: the trainer's accelerator (default: ``"auto"``).
        network: network, or LightningModule with several networks (default: any without depthwise convolutions).

    Example:
        >>> resolve_precision("mps"), resolve_precision("cpu", nn.Conv2d(8, 8, 3, groups=8))
        ('32-true', '32-true')
    """
    name = accelerator if isinstance(accelerator, str) else accelerator.name()
    if name in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        on_cpu = name == "cpu" or (name == "auto" and not torch.backends.mps.is_available())
        fast = on_cpu and _cpu_supports_bf16() and not (network is not None and _is_depthwise(network))
    return "bf16-mixed" if fast else "32-true"


def _is_depthwise(network: nn.Module) -> bool:
    """Return whether most parameters belong to networks with depthwise convolutions; a teacher counts as well."""
    parts: Iterable[nn.Module] = network.children() if isinstance(network, LightningModule) else (network,)
    counts = {True: 0, False: 0}
    for part in parts:
        counts[_has_depthwise_convolution(part)] += sum(parameter.numel() for parameter in part.parameters())
    return counts[True] > counts[False]


def _has_depthwise_convolution(network: nn.Module) -> bool:
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layers = (layer for layer in network.modules() if isinstance(layer, convolutions))
    return any(layer.groups == layer.in_channels > 1 for layer in layers)


def candidate_precisions() -> tuple[TrainingPrecision, ...]:
    """Return the precisions of which measurements select one: float32, and bf16-mixed on CPUs that support it.

    On CPUs, bf16-mixed doubles the speed of ResNets but is slower for networks with depthwise convolutions and for
    small ones. On other devices, the result is that of :func:`resolve_precision`.
    """
    automatic = resolve_precision()
    if torch.cuda.is_available() or automatic == "32-true":
        return (automatic,)
    return ("32-true", automatic)


def _cpu_supports_bf16() -> bool:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not CPU_FLAGS.isdisjoint(flags)
