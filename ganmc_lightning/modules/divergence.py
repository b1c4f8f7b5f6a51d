"""Finding out that a run diverged without waiting for the device in any step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from ganmc_lightning.losses.precision import at_least_float32

PREFIX = "loss"
"""Recorded values whose names start like this must be finite; others, such as ratios, may be NaN in a good run."""


class Failure(NamedTuple):
    """The first of the steps, up to the latest one, in which a loss was NaN or infinite.

    Attributes:
        step: number of the training batch, from 1.
        name: of the loss.
        value: NaN or infinity.
        steps: how many steps in a row.
    """

    step: int
    name: str
    value: float
    steps: int


class LossWatch:
    """Keeps the losses of each step on the device until :meth:`failure` reads them all at once."""

    def __init__(self) -> None:
        self._unread: list[tuple[int, tuple[str, ...], Tensor]] = []
        self._failure: Failure | None = None

    def see(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Keep the losses among the scalars that a step recorded."""
        losses = {name: at_least_float32(value.detach()) for name, value in values.items() if name.startswith(PREFIX)}
        if losses:
            self._unread.append((step, tuple(losses), torch.stack(list(losses.values()))))

    def failure(self) -> Failure | None:
        """Read what was kept since the last call.

        Returns:
            None where the latest losses are finite, whatever was before: a step in float16 may overflow, and is then
            skipped.
        """
        if self._unread:
            values = torch.cat([losses for _, _, losses in self._unread]).tolist()
            steps = [(step, name) for step, names, _ in self._unread for name in names]
            self._unread = []
            self._read([(step, name, value) for (step, name), value in zip(steps, values, strict=True)])
        return self._failure

    def _read(self, losses: list[tuple[int, str, float]]) -> None:
        by_step: dict[int, list[tuple[str, float]]] = {}
        for step, name, value in losses:
            by_step.setdefault(step, []).append((name, value))
        for step, found in by_step.items():
            failed = [(name, value) for name, value in found if not abs(value) < float("inf")]
            if not failed:
                self._failure = None
            elif self._failure is None:
                self._failure = Failure(step, *failed[0], steps=1)
            else:
                self._failure = self._failure._replace(steps=self._failure.steps + 1)


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the floating-point tensors that hold NaN or infinity; the device is waited for once."""
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if not floats:
        return []
    finite = torch.stack([tensor.detach().isfinite().all() for tensor in floats.values()]).tolist()
    return [name for name, good in zip(floats, finite, strict=True) if not good]


def kept_checkpoint(trainer: Trainer) -> str:
    """Say in a sentence which checkpoint of a run is left."""
    saving = trainer.checkpoint_callback
    path = (saving.last_model_path or saving.best_model_path) if isinstance(saving, ModelCheckpoint) else ""
    return f"The last good checkpoint is {path}" if Path(path).is_file() else "No checkpoint was saved yet"
