"""Teacher, student and data of a compression, validated against each other."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.splits import Split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Frozen, build_network
from ganmc_lightning.networks.profiling import count_parameters
from ganmc_lightning.networks.proposal import propose_student
from ganmc_lightning.networks.resolving import resolve_recipe
from ganmc_lightning.networks.validation import check_classifier, check_trainable_classifier

BUILDER = "ganmc_lightning.networks.build_network"


class LoadedSource(DatasetSource):
    """Data set that is read once for several data modules.

    Args:
        source: the data set.

    Example:
        >>> import tempfile
        >>> from ganmc_lightning.data.datasets import Digits
        >>> source = LoadedSource(Digits(), tempfile.mkdtemp())
        >>> source.splits is source.load(Path()), source.splits.num_classes
        (True, 10)
    """

    def __init__(self, source: DatasetSource, root: str | Path | None = None) -> None:
        path = Path(root or os.environ.get("GANMC_DATA") or "data")
        source.prepare(path)
        self.name = source.name
        self.splits = source.load(path)

    def prepare(self, root: Path) -> None:
        """Do nothing: the data are in memory, or listed."""

    def load(self, root: Path) -> DatasetSplits:
        """Return the splits."""
        return self.splits

    def with_colors(self) -> LoadedSource:
        """Return a data set whose gray images are repeated in three channels."""
        repeated, splits = copy.copy(self), self.splits
        repeated.splits = splits._replace(
            train=_repeat_channel(splits.train),
            test=_repeat_channel(splits.test),
            validation=None if splits.validation is None else _repeat_channel(splits.validation),
        )
        return repeated


class StudentNetwork(NamedTuple):
    """An untrained student.

    Attributes:
        network: the network.
        recipe: ``class_path`` and ``init_args`` that build the network, for checkpoints; None for a network that was
            built by the user.
        name: reference or class name, for messages.
    """

    network: nn.Module
    recipe: Mapping[str, Any] | None
    name: str


def match_data(teacher: nn.Module, source: LoadedSource) -> tuple[LoadedSource, DataSpec, str]:
    """Validate a teacher against the data; repeat the channel of gray images for a teacher of color images.

    Returns:
        The data set, its specification, and a remark for the user, "" if the data are unchanged.

    Raises:
        ConfigurationError: the data are not images, or the teacher does not accept them or has other classes.
    """
    spec = spec_of(source)
    if len(spec.sample_shape) != 3:
        raise ConfigurationError(f"data: {source.name} contains rows, expected images")
    remark = ""
    try:
        check_classifier("teacher", teacher, spec)
    except ConfigurationError:
        if spec.sample_shape[0] != 1 or not _accepts(teacher, spec._replace(sample_shape=(3, *spec.sample_shape[1:]))):
            raise
        source = source.with_colors()
        spec = spec_of(source)
        remark = "data: gray images, repeated in three channels for the teacher"
    Frozen(teacher).adapt_to("teacher", spec)
    return source, spec, remark


def spec_of(source: LoadedSource) -> DataSpec:
    """Return the specification of a data set."""
    data = GANAugmentedDataModule(source)
    data.setup("test")
    return data.spec


def make_student(
    student: nn.Module | str | None,
    arguments: Mapping[str, Any] | None,
    teacher: nn.Module,
    spec: DataSpec,
    *,
    smaller: float,
    seed: int,
) -> StudentNetwork:
    """Build the student, with seeded weights, and validate it against the data.

    Args:
        student: a network, its reference, or None to propose one.
        arguments: arguments of the reference's factory.
        teacher: the teacher, for the proposal.
        spec: specification of the data.
        smaller: least ratio of the teacher's parameters to those of a proposed student.
        seed: seed of the initial weights.

    Raises:
        ConfigurationError: the network cannot be built, does not fit the data, or no network is small enough.
    """
    if isinstance(student, nn.Module):
        made = StudentNetwork(student, None, type(student).__name__)
    else:
        if student is None:
            student, arguments, *_ = propose_student(teacher, spec.sample_shape, spec.num_classes, smaller)
        values: dict[str, Any] = {
            "reference": student,
            "num_classes": spec.num_classes,
            "in_channels": spec.sample_shape[0],
            "arguments": dict(arguments or {}),
        }
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            network = build_network(**values)
        recipe = resolve_recipe({"class_path": BUILDER, "init_args": values})
        made = StudentNetwork(network, recipe, student)
    check_trainable_classifier("student", made.network, spec)
    return made


def size_remark(teacher: nn.Module, student: StudentNetwork) -> str:
    """Describe the student's size in one line, with a warning if it is not smaller than the teacher."""
    large, small = count_parameters(teacher), count_parameters(student.network)
    text = f"student: {student.name}, {small:,} parameters, {large / small:.1f} times fewer than the teacher"
    if small >= large:
        text = f"student: warning: {student.name} has {small:,} parameters, not fewer than the teacher's {large:,}"
    return text


def _accepts(network: nn.Module, spec: DataSpec) -> bool:
    try:
        check_classifier("teacher", network, spec)
    except ConfigurationError:
        return False
    return True


def _repeat_channel(data: Split) -> Split:
    if isinstance(data, TensorDataset):
        return data.with_inputs(data.inputs.expand(-1, 3, -1, -1).contiguous())
    colored = copy.copy(data)
    colored.channels = 3
    return colored
