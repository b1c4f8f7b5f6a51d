"""Defaults of ``trainer.precision`` and ``trainer.accelerator``, which are ``auto``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast, get_args

from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import Accelerator

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import load_yaml_mapping, shorten
from ganmc_lightning.runs.accelerator import resolve_accelerator
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.precision import resolve_precision

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
    """Lightning's Trainer with ``precision="auto"``, the default; see :func:`resolve_precision`.

    On Apple computers, ``accelerator="auto"`` is the CPU; see :func:`resolve_accelerator`.
    """

    def __init__(
        self, *, accelerator: str | Accelerator = "auto", precision: Precision | None = "auto", **kwargs: Any
    ) -> None:
        accelerator = resolve_accelerator(accelerator)
        resolved = resolve_precision(accelerator) if precision == "auto" else precision
        super().__init__(accelerator=accelerator, precision=resolved, **kwargs)


def precision_of_run(checkpoint: Path) -> Precision | None:
    """Return the precision in the ``config.yaml`` of a checkpoint's run folder; ``"auto"`` without such a file.

    A run that is resumed on another machine, or tested there, keeps its precision in this way.

    Raises:
        ConfigurationError: ``config.yaml`` is invalid.
    """
    config = RunFolder(checkpoint.resolve().parent.parent).config
    if not config.is_file():
        return "auto"
    trainer = load_yaml_mapping(config).get("trainer") or {}
    found = trainer.get("precision") if isinstance(trainer, dict) else "?"
    if found is not None and found not in get_args(Precision):
        raise ConfigurationError(f"{config}: trainer.precision: got {shorten(found)}, expected one of Lightning's")
    return cast(Precision | None, found)
