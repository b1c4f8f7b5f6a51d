"""Detection of diverged runs without waiting for the device in every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.distributed.tensor import DTensor

from ganmc_lightning.exceptions import DivergenceError

PREFIX = "loss"
"""Prefix of the recorded values that must be finite; other values, such as ratios, may be NaN."""
SKIPPED_STEPS = 20
"""Number of consecutive failed steps at which a run with a gradient scaler, which skips them, has diverged."""


class Failure(NamedTuple):
    """Latest series of steps in which a loss was NaN or infinite.

    Attributes:
        step: number of the first training batch of the series, from 1.
        name: name of the loss.
        value: NaN or infinity.
        steps: number of consecutive steps.
    """

    step: int
    name: str
    value: float
    steps: int


class LossMonitor:
    """Store the losses of each step on the device until :meth:`failure` reads them with one synchronization.

    Example:
        >>> losses = LossMonitor()
        >>> losses.update(1, ["loss", "accuracy"], torch.tensor([0.5, 0.0]))
        >>> losses.update(2, ["loss", "accuracy"], torch.tensor([float("inf"), 0.0]))
        >>> losses.failure()
        Failure(step=2, name='loss', value=inf, steps=1)
    """

    def __init__(self) -> None:
        self._unread: list[tuple[int, Sequence[str], Tensor]] = []
        self._failure: Failure | None = None

    def update(self, step: int, names: Sequence[str], values: Tensor) -> None:
        """Store the scalars of a step, of which the losses are read.

        Args:
            step: number of the training batch.
            names: names of the scalars.
            values: float (K,), float32 or wider, without gradients.
        """
        if any(name.startswith(PREFIX) for name in names):
            self._unread.append((step, names, values))

    def failure(self) -> Failure | None:
        """Read the losses since the last call.

        Returns:
            The latest series of failed steps; None if the losses of the last step are finite, because a gradient scaler
            skips steps that overflow in float16.
        """
        if self._unread:
            values = torch.cat([stored for _, _, stored in self._unread]).tolist()
            steps = [(step, name) for step, names, _ in self._unread for name in names]
            self._unread = []
            found = [(step, name, value) for (step, name), value in zip(steps, values, strict=True)]
            self._read([loss for loss in found if loss[1].startswith(PREFIX)])
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


def check_losses(module: LightningModule, step: int, losses: LossMonitor) -> None:
    """Raise :class:`~ganmc_lightning.exceptions.DivergenceError` if the latest losses are NaN or infinite."""
    failure = losses.failure()
    scaled = getattr(module.trainer.precision_plugin, "scaler", None) is not None
    if failure is not None and failure.steps < (SKIPPED_STEPS if scaled else 1):
        failure = None
    _raise_if(module, step, failure is not None, failure)


def check_checkpoint(
    module: LightningModule, step: int, state: Mapping[str, Any], metrics: Sequence[str], unbounded: frozenset[str]
) -> None:
    """Raise :class:`~ganmc_lightning.exceptions.DivergenceError` if a checkpoint would contain NaN or infinity.

    Args:
        module: module of the checkpoint that is about to be written.
        step: number of the training batch.
        state: state dictionary of the checkpoint.
        metrics: names of logged metrics that must be finite.
        unbounded: names of tensors that may be infinite.
    """
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    weights = [name for name in nonfinite_names(tensors) if name not in unbounded]
    logged = module.trainer.callback_metrics
    failed_metrics = nonfinite_names({name: logged[name] for name in metrics if name in logged})
    _raise_if(module, step, bool(weights or failed_metrics), None, weights, failed_metrics)


def _raise_if(
    module: LightningModule,
    step: int,
    diverged: bool,
    failure: Failure | None,
    weights: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> None:
    """Raise in all processes if any process has diverged; otherwise the remaining processes would wait forever."""
    if not module.trainer.strategy.reduce_boolean_decision(diverged, all=False):
        return
    weights = weights or nonfinite_names(dict(module.named_parameters()))
    found = [] if failure is None else [f"{failure.name} is {failure.value} since step {failure.step}"]
    found += [f"{name} is {module.trainer.callback_metrics[name].item()}" for name in metrics]
    found += [f"{name} is not finite" for name in weights[:1]]
    raise DivergenceError(
        f"{type(module).__name__} diverged, detected at step {step}: "
        f"{' and '.join(found) or 'in another process'}; lower the learning rate. {_last_checkpoint(module.trainer)}"
    )


def nonfinite_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the floating-point tensors with NaN or infinity, with one device synchronization.

    Of sharded tensors, the shard of this process is tested.
    """
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if not floats:
        return []
    local = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in floats.values()]
    finite = torch.stack([tensor.detach().isfinite().all() for tensor in local]).tolist()
    return [name for name, good in zip(floats, finite, strict=True) if not good]


def _last_checkpoint(trainer: Trainer) -> str:
    saving = trainer.checkpoint_callback
    path = (saving.last_model_path or saving.best_model_path) if isinstance(saving, ModelCheckpoint) else ""
    return f"The last good checkpoint is {path}" if Path(path).is_file() else "No checkpoint was saved yet"
