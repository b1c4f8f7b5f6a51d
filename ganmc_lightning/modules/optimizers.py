"""Optimizers with their schedules, and their implementation on CPUs and on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, ReduceLROnPlateau
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from ganmc_lightning.exceptions import ConfigurationError

FUSED: dict[type[Optimizer], tuple[str, ...]] = {Adam: ("cpu", "cuda"), AdamW: ("cpu", "cuda"), SGD: ("cuda",)}
"""Devices on which the fused implementation is used, by optimizer. On CPUs, that of SGD can be slower."""


def with_schedules(
    *pairs: tuple[Optimizer, LRSchedulerCallable | None], automatic: bool = False
) -> tuple[list[Optimizer], list[Any]]:
    """Return the optimizers, and the learning rate schedules for Lightning.

    Args:
        pairs: optimizers, and functions that make their schedules.
        automatic: whether Lightning steps the schedules, once per epoch; else the module calls :func:`step_schedule`.

    Raises:
        ConfigurationError: a schedule depends on a metric that is not named.
    """
    schedules = [make(optimizer) for optimizer, make in pairs if make is not None]
    described = [_with_metric(schedule) for schedule in schedules]
    return [optimizer for optimizer, _ in pairs], described if automatic else schedules


def step_schedule(schedule: Any, metrics: Mapping[str, Tensor]) -> None:
    """Step a schedule at the end of an epoch; one that depends on a metric, from the first validation on.

    Args:
        schedule: the schedule.
        metrics: metrics logged so far in this fit, by name.

    Raises:
        ConfigurationError: a validation has run and did not log the metric of the schedule.
    """
    if not isinstance(schedule, ReduceLROnPlateau):
        schedule.step()
    elif schedule.monitor in metrics:
        schedule.step(metrics[schedule.monitor])
    elif any(name.startswith(("val/", "test/")) for name in metrics):  # "test/" without validation samples
        raise ConfigurationError(
            f"ReduceLROnPlateau.monitor: got '{schedule.monitor}', expected one of the logged metrics: "
            f"{', '.join(sorted(metrics))}"
        )


def _with_metric(schedule: Any) -> Any:
    """Return the schedule, with the name of its metric if it depends on one."""
    if not isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
        return schedule
    if not isinstance(schedule, ReduceLROnPlateau):
        raise ConfigurationError(
            "model.lr_scheduler: got torch.optim.lr_scheduler.ReduceLROnPlateau, which does not name a metric, "
            "expected lightning.pytorch.cli.ReduceLROnPlateau with monitor, e.g. val/cross_entropy"
        )
    # Before the first validation there is no metric; then the schedule is not stepped.
    return {"scheduler": schedule, "monitor": schedule.monitor, "strict": False}


def choose_implementation(optimizer: Optimizer) -> None:
    """Use the fused implementation of Adam and AdamW, and of SGD for parameters on CUDA, unless another is given.

    PyTorch has no fused SGD for parameters that are sharded across processes.

    The state of a loaded optimizer is converted, because a checkpoint may be from a run on another device or with
    another memory format.

    Args:
        optimizer: optimizer whose arguments ``fused`` and ``foreach`` were not given; others are not changed.

    Example:
        >>> optimizer = Adam([torch.nn.Parameter(torch.zeros(2))])
        >>> choose_implementation(optimizer)
        >>> optimizer.param_groups[0]["fused"]
        True
    """
    given = optimizer.defaults.get("fused"), optimizer.defaults.get("foreach")
    devices = FUSED.get(type(optimizer))
    if devices is None or given != (None, None):
        return
    for group in optimizer.param_groups:
        parameters = group["params"]
        supported = all(p.device.type in devices and p.is_floating_point() for p in parameters)
        supported &= not (isinstance(optimizer, SGD) and any(isinstance(p, DTensor) for p in parameters))
        group["fused"] = True if supported else None
        for parameter in parameters:
            state = optimizer.state.get(parameter, {})
            state.update({name: _converted(name, value, parameter, supported) for name, value in state.items()})


def _converted(name: str, value: Any, parameter: Tensor, fused: bool) -> Any:
    if name == "step" and isinstance(value, Tensor):  # fused implementations keep it on the device
        return value.to(parameter.device if fused else "cpu")
    if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
        # Fused implementations require equal strides.
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return value
