"""Checkpoint contents: hyperparameters, weights except those of frozen modules, validation before loading."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError

ROUNDING = 1e-6
"""Difference of statistics that is attributed to rounding on other processors."""
COUNTERS = ("iteration", "train_seconds")
"""Keys of every checkpoint of a run."""
RESUMED = ("running_means", "random_state")
"""Keys of a checkpoint from which a run is resumed, besides those of Lightning: the state of the first process."""
OTHER_PROCESSES = "other_processes"
"""Key of the states of the other processes, in the order of their ranks."""


def unsaved_hyperparameters(module: LightningModule) -> list[str]:
    """Return the names of hyperparameters that are not arguments of ``module``'s class, or have no plain values.

    Lightning also collects the arguments that a class passes to its base class; recipes do not accept them.
    """
    accepted = inspect.signature(type(module)).parameters
    any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    return [
        name
        for name, value in module.hparams.items()
        if not (_is_plain(value) and (any_name or name in accepted or name.startswith("_")))
    ]


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def drop_frozen_keys(module: Any, state: dict[str, Any], prefix: str, metadata: object) -> None:
    """Remove the weights of frozen modules: a hook for ``register_state_dict_post_hook``."""
    frozen = tuple(f"{prefix}{name}." for name in module.frozen_modules)
    for key in [key for key in state if key.startswith(frozen)]:
        del state[key]


def ignore_missing_frozen_keys(module: Any, keys: Any) -> None:
    """Accept missing weights of frozen modules: a hook for ``register_load_state_dict_post_hook``."""
    frozen = tuple(f"{name}." for name in module.frozen_modules)
    keys.missing_keys[:] = [key for key in keys.missing_keys if not key.startswith(frozen)]


def check_state_dict(checkpoint: Mapping[str, Any], state: Mapping[str, Tensor], class_name: str) -> None:
    """Validate that a checkpoint has the weights of a model and the counters of its run.

    Args:
        checkpoint: contents of the checkpoint file; its ``state_dict`` uses the names of ``state``.
        state: state dictionary of the model.
        class_name: class of the model, for the error message.

    Raises:
        ConfigurationError: a weight or a counter is missing, or a weight has another shape.
    """
    expected, actual = (
        {name: tuple(value.shape) for name, value in weights.items()} for weights in (state, checkpoint["state_dict"])
    )
    for name in [*expected, *actual]:
        if expected.get(name) != actual.get(name):
            raise ConfigurationError(
                f"--ckpt_path: the checkpoint does not match the model: {name} is {actual.get(name, 'missing')}, "
                f"expected {expected.get(name, 'no such weight')}; use another checkpoint, or the config of its run"
            )
    _check_keys(checkpoint, COUNTERS, class_name)


def split_by_process(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the entries of a checkpoint for the states of all processes.

    Args:
        states: values of the keys :data:`RESUMED`, one dictionary per process.
    """
    first, *others = states
    return {**first, OTHER_PROCESSES: others} if others else first


def warn_of_changed_data(before: DataSpec | None, now: DataSpec | None, path: str | Path | None) -> None:
    """Warn if a run is resumed with other training samples, such as after their file was replaced.

    Means and standard deviations of the training samples are compared, which the checkpoint contains.

    Args:
        before: specification in the checkpoint, if known.
        now: specification of the data, if known.
        path: the checkpoint, for the warning.
    """
    if before is None or now is None or before.statistics is None or now.statistics is None:
        return
    stored, actual = before.statistics, now.statistics
    if before.sample_shape != now.sample_shape or all(
        torch.allclose(a, b, rtol=ROUNDING, atol=ROUNDING)
        for a, b in ((stored.mean, actual.mean), (stored.std, actual.std))
    ):  # networks are validated against other shapes
        return
    rank_zero_warn(
        f"{path}: the training samples differ from those of the checkpoint in mean or standard deviation; restore the "
        "data, or start a new run"
    )


def resumable_state(
    checkpoint: Mapping[str, Any], path: str | Path | None, class_name: str, rank: int
) -> dict[str, Any]:
    """Return running means and random state of a process, from a checkpoint from which a run is resumed.

    Args:
        checkpoint: contents of the checkpoint file.
        path: path of the checkpoint file, for the error message.
        class_name: class of the model, for the error message.
        rank: index of the process.

    Returns:
        Values of the keys :data:`RESUMED`, and ``rank``, the process that saved them: the first process if the run had
        fewer processes.

    Raises:
        ConfigurationError: the checkpoint contains only weights, or a key is missing.
    """
    if "optimizer_states" not in checkpoint:
        last = "last.ckpt" if path is None else Path(path).with_name("last.ckpt")
        raise ConfigurationError(
            f"--ckpt_path: got {path}, which contains only weights, expected {last} to resume the run"
        )
    _check_keys(checkpoint, RESUMED, class_name)
    states = [checkpoint, *checkpoint.get(OTHER_PROCESSES, ())]
    saved_by = rank if rank < len(states) else 0
    return {"rank": saved_by, **{key: states[saved_by][key] for key in RESUMED}}


def _check_keys(checkpoint: Mapping[str, Any], keys: Sequence[str], class_name: str) -> None:
    for key in keys:
        if key not in checkpoint:
            raise ConfigurationError(
                f"--ckpt_path: the checkpoint has no key '{key}', expected a checkpoint of {class_name}"
            )
