"""Plan of a compression: what it depends on and how long it trains, stored so that a stopped command can go on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ganmc_lightning.compression.inputs import LoadedSource
from ganmc_lightning.compression.progress import duration_text
from ganmc_lightning.compression.stages import CompressionStage
from ganmc_lightning.compression.synthesis import SynthesisDuration
from ganmc_lightning.compression.training import measure_epoch
from ganmc_lightning.data.datasets import TensorDataset
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.file_hash import hash_images
from ganmc_lightning.io.folder_lock import LOCK
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION, check_format_version
from ganmc_lightning.io.object_hash import hash_object
from ganmc_lightning.io.structured import read_json, validate, write_json
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.precision import TrainingPrecision
from ganmc_lightning.synthesizers import StoredSynthesizer, Synthesizer

RUNS, PLAN = "runs", "plan.json"
SHARE = 0.95
"""Share of a time limit that is used for training; exports and the card need the rest."""
MIN_SPEEDUP = 1.1
"""Least speedup for which bf16-mixed is used: close measurements are not repeatable, and float32 is more accurate."""
DIGITS = 12
"""Number of hexadecimal digits of hashes in descriptions."""


@dataclass(frozen=True)
class CompressionPlan:
    """What a compression depends on, and its length.

    Attributes:
        settings: name -> value of each setting that changes the result; hashes of networks and data.
        epochs: number of epochs of each network.
        precision: precision of the training, the faster one.
        seconds: estimated duration of the training.
    """

    settings: Mapping[str, Any]
    epochs: int
    precision: TrainingPrecision
    seconds: float


def hash_network(network: nn.Module) -> str:
    """Compute the sha256 of the layers of a network with their arguments, and of its weights and buffers."""
    layers = re.sub(r" at 0x\w+", "", str(network))  # functions among the arguments: addresses differ in each process
    tensors = {**dict(network.state_dict()), **dict(network.named_buffers())}  # also of mean and std
    return hash_object([type(network).__qualname__, layers, tensors])


def hash_data(source: LoadedSource) -> str:
    """Compute the sha256 of the samples, for data read from files of their names, and of the labels."""
    parts: list[Any] = [source.splits.class_names]
    splits = source.splits
    for split in (splits.train, splits.validation, splits.test):
        if split is None:
            continue
        parts += [split.labels, split.inputs if isinstance(split, TensorDataset) else vars(split)]
    return hash_object(parts)


def describe_object(value: object) -> str:
    """Return the class and the settings of a loss or synthesizer, with hashes of networks and stored images.

    Example:
        >>> from ganmc_lightning.synthesizers import JitterSynthesizer
        >>> describe_object(JitterSynthesizer(0.5))
        'JitterSynthesizer(noise_std=0.5)'
    """
    found = dict(vars(value))
    if isinstance(value, nn.Module):
        found.update(value.named_children())
    described = {key: _describe_value(item) for key, item in found.items() if key[0] != "_" and key != "training"}
    if isinstance(value, StoredSynthesizer):
        described["contents"] = hash_images(value.path)[:DIGITS]
    settings = ", ".join(f"{key}={text}" for key, text in sorted(described.items()) if text)
    return f"{type(value).__name__}({settings})"


def _describe_value(value: object) -> str:
    """Describe an attribute; objects of other types, such as caches, are no settings and have an empty description."""
    if isinstance(value, bool | int | float | str | Path):
        return str(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_describe_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_describe_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, nn.Module) and value.state_dict():
        return hash_network(value)[:DIGITS]
    return describe_object(value) if isinstance(value, nn.Module | Synthesizer) else ""


def describe_plan(plan: CompressionPlan, stages: Sequence[CompressionStage]) -> str:
    """Return one line with the networks to train, the number of epochs and the estimated duration."""
    epochs = "epoch" if plan.epochs == 1 else "epochs"
    return (
        f"training: {', '.join(stage.text for stage in stages)}; {plan.epochs} {epochs} each, in {plan.precision}, "
        f"about {duration_text(plan.seconds)} in total"
    )


def read_plan(out: Path, settings: Mapping[str, Any]) -> CompressionPlan | None:
    """Read the plan of a stopped or finished compression.

    Args:
        out: output folder.
        settings: settings of the command.

    Returns:
        The plan; None if the folder does not exist or is empty.

    Raises:
        ConfigurationError: the folder contains other files, or a compression with other settings or of a newer release.
    """
    path = out / RUNS / PLAN
    content = read_json(path)
    if content is None:
        # A command that was killed while writing the plan leaves its folder.
        unplanned = {LOCK} if any(path.parent.glob("[!.]*")) else {LOCK, RUNS}
        others = sorted({item.name for item in out.iterdir()} - unplanned) if out.is_dir() else []
        if others:
            raise ConfigurationError(f"{out}: contains {others[0]!r}, expected a new or empty folder")
        return None
    check_format_version(content, path)
    content.pop(FORMAT_KEY, None)
    plan = validate(CompressionPlan, content, path)
    for name, value in settings.items():
        before = plan.settings.get(name)
        if before != value:
            change = "differs" if len(str(value)) == len(hash_object(0)) else f"was {before}, got {value}"
            raise ConfigurationError(
                f"{out}: contains a compression with other settings ({name} {change}); repeat its command to resume "
                "it, or choose another folder"
            )
    return plan


def make_plan(
    out: Path,
    settings: Mapping[str, Any],
    stages: Sequence[CompressionStage],
    *,
    epochs: int,
    seconds: float | None,
    precisions: Sequence[TrainingPrecision],
    synthesis: Collection[SynthesisDuration] = (),
) -> CompressionPlan:
    """Measure the steps of the stages, choose precision and number of epochs, and write the plan.

    Args:
        out: output folder.
        settings: settings of the command.
        stages: stages to train, in their order.
        epochs: largest number of epochs.
        seconds: time limit; None for no limit.
        precisions: precisions to measure, the preferred one first.
        synthesis: durations of drawing synthetic samples, in addition to the steps (default: none).

    Raises:
        ConfigurationError: one epoch of each stage takes longer than the limit.
    """
    measured = {precision: _measure_epochs(stages, precision) for precision in precisions}
    precision = choose_precision(measured)
    epoch = measured[precision] + sum(duration.epoch for duration in synthesis)
    start = sum(duration.start for duration in synthesis)
    if seconds is not None:
        epochs = min(epochs, int((SHARE * seconds - start) / epoch))
        if epochs < 1:
            raise ConfigurationError(
                f"--time: got {seconds:g} s, expected at least {(start + epoch) / SHARE:.2f} s, for one epoch of "
                f"{', '.join(stage.text for stage in stages)}"
            )
    plan = CompressionPlan(settings, epochs, precision, round(start + epochs * epoch, 1))
    write_json(out / RUNS / PLAN, {FORMAT_KEY: FORMAT_VERSION, **asdict(plan)})
    return plan


def choose_precision(seconds: Mapping[TrainingPrecision, float]) -> TrainingPrecision:
    """Return the first precision, or another one that is faster by :data:`MIN_SPEEDUP`.

    Args:
        seconds: precision -> measured duration.

    Example:
        >>> choose_precision({"32-true": 1.0, "bf16-mixed": 0.95}), choose_precision({"32-true": 1, "bf16-mixed": 0.5})
        ('32-true', 'bf16-mixed')
    """
    first = next(iter(seconds))
    fastest = min(seconds, key=seconds.__getitem__)
    return fastest if seconds[fastest] * MIN_SPEEDUP <= seconds[first] else first


def _measure_epochs(stages: Sequence[CompressionStage], precision: TrainingPrecision) -> float:
    """Return the seconds of one epoch of each stage."""
    measured: dict[str, float] = {}
    for stage in stages:
        if stage.measured_as not in measured:
            measured[stage.measured_as] = measure_epoch(stage, precision)
    return sum(measured[stage.measured_as] for stage in stages)


def stage_folder(out: Path, stage: CompressionStage) -> RunFolder:
    """Return the run folder of a stage."""
    return RunFolder(out / RUNS / stage.name)
