"""Default of ``trainer.precision``: ``auto`` is bf16-mixed on devices with fast bfloat16 arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import Accelerator

from ganmc_lightning.io.structured import load_yaml_mapping
from ganmc_lightning.runs.folder import RunFolder

CPUINFO = Path("/proc/cpuinfo")
CPU_FLAGS = {"amx_bf16", "avx512_bf16"}
"""Instruction sets with products of bfloat16 matrices."""

Precision = Literal[
    "auto",
    "32-true",
    "64-true",
    "bf16-mixed",
    "16-mixed",
    "bf16-true",
    "16-true",
    "transformer-engine",
    "transformer-engine-float16",
    "32",
    "64",
    "bf16",
    "16",
    32,
    64,
    16,
]


class AutoPrecisionTrainer(Trainer):
    """Lightning's Trainer with ``precision="auto"``, the default; see :func:`resolve_precision`."""

    def __init__(
        self, *, accelerator: str | Accelerator = "auto", precision: Precision | None = "auto", **kwargs: Any
    ) -> None:
        resolved = resolve_precision(accelerator) if precision == "auto" else precision
        super().__init__(accelerator=accelerator, precision=resolved, **kwargs)


def resolve_precision(accelerator: str | Accelerator = "auto") -> Literal["bf16-mixed", "32-true"]:
    """Return the precision of ``trainer.precision: auto`` on this machine, for Lightning's ``Trainer(precision=...)``.

    It is ``"bf16-mixed"`` on GPUs of compute capability 8.0 or higher and on CPUs with AMX-BF16 or AVX512-BF16, else
    ``"32-true"``.

    Args:
        accelerator: the trainer's accelerator (default: ``"auto"``).

    Example:
        >>> resolve_precision("mps")
        '32-true'
    """
    name = accelerator if isinstance(accelerator, str) else accelerator.name()
    if name in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif name == "auto":
        fast = not torch.backends.mps.is_available() and _cpu_supports_bf16()
    else:
        fast = name == "cpu" and _cpu_supports_bf16()
    return "bf16-mixed" if fast else "32-true"


def precision_of_run(checkpoint: Path) -> Precision | None:
    """Return the precision in the ``config.yaml`` of a checkpoint's run folder; ``"auto"`` without such a file.

    A run that is resumed on another machine, or tested there, keeps its precision in this way.

    Raises:
        ConfigurationError: ``config.yaml`` is invalid.
    """
    config = RunFolder(checkpoint.resolve().parent.parent).config
    if not config.is_file():
        return "auto"
    found: Precision | None = load_yaml_mapping(config).get("trainer", {}).get("precision")
    return found


def _cpu_supports_bf16() -> bool:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not CPU_FLAGS.isdisjoint(flags)
