"""Teacher, student and data of a compression, validated against each other."""

from __future__ import annotations

import copy
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
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.io.network_reference import LIBRARIES, parse_reference
from ganmc_lightning.networks import Frozen, PretrainedClassifier, build_network
from ganmc_lightning.networks.allowed import find_network
from ganmc_lightning.networks.profiling import count_parameters
from ganmc_lightning.networks.proposal import propose_student
from ganmc_lightning.networks.resolving import resolve_recipe
from ganmc_lightning.networks.training_data import get_training_data, set_training_data
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
        path = data_root(root)
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


class MatchedData(NamedTuple):
    """Data and a teacher that accepts them.

    Attributes:
        source: the data set.
        teacher: the teacher.
        spec: specification of the data set.
        remarks: one line for the user about each change.
    """

    source: LoadedSource
    teacher: nn.Module
    spec: DataSpec
    remarks: list[str]


def match_data(teacher: nn.Module, source: LoadedSource) -> MatchedData:
    """Validate a teacher against the data.

    The channel of gray images is repeated for a teacher of color images. The outputs of a teacher of another library
    are ordered as the classes of the data, if its class names are equal.

    Raises:
        ConfigurationError: the data are not images, or the teacher does not accept them or has other classes.
    """
    spec = spec_of(source)
    if len(spec.sample_shape) != 3:
        raise ConfigurationError(f"data: {source.name} contains rows, expected images")
    remarks = []
    teacher = _in_float32(teacher)
    try:
        check_classifier("teacher", teacher, spec)
    except ConfigurationError:
        if spec.sample_shape[0] != 1 or not _accepts(teacher, spec._replace(sample_shape=(3, *spec.sample_shape[1:]))):
            raise
        source = source.with_colors()
        spec = spec_of(source)
        remarks.append("data: gray images, repeated in three channels for the teacher")
    ordered = _in_order(teacher, spec)
    if ordered is not teacher:
        remarks.append("teacher: outputs in another order than the classes of the data, sorted by class name")
    Frozen(ordered).adapt_to("teacher", spec)
    return MatchedData(source, ordered, spec, remarks)


def has_known_order(teacher: nn.Module) -> bool:
    """Whether the classes of a teacher's outputs were passed, or are known by name."""
    trained_on = get_training_data(teacher)
    ordered = isinstance(teacher, PretrainedClassifier) and teacher.class_order is not None
    return ordered or (trained_on is not None and bool(trained_on.class_names))


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
        ConfigurationError: the network cannot be built, also from a checkpoint, does not fit the data, or no network
            is small enough.
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
        reference = parse_reference(student)
        if reference.library not in LIBRARIES:  # else load_network would refuse the trained checkpoint
            find_network(f"{reference.library}.{reference.name}", f"student: {student}")
        recipe = resolve_recipe({"class_path": BUILDER, "init_args": values})
        made = StudentNetwork(network, recipe, student)
    made = made._replace(network=_in_float32(made.network))
    check_trainable_classifier("student", made.network, spec)
    return made


def size_remark(teacher: nn.Module, student: StudentNetwork) -> str:
    """Describe the student's size in one line, with a warning if it is not smaller than the teacher."""
    large, small = count_parameters(teacher), count_parameters(student.network)
    text = f"student: {student.name}, {small:,} parameters, {large / small:.1f} times fewer than the teacher"
    if small >= large:
        text = f"student: warning: {student.name} has {small:,} parameters, not fewer than the teacher's {large:,}"
    return text


def _in_float32(network: nn.Module) -> nn.Module:
    """Return a network whose weights have the precision of the samples: a copy if they have another one."""
    if all(parameter.dtype == torch.float32 for parameter in network.parameters() if parameter.is_floating_point()):
        return network
    return copy.deepcopy(network).float()


def _in_order(teacher: nn.Module, spec: DataSpec) -> nn.Module:
    trained_on = get_training_data(teacher)
    if not isinstance(teacher, PretrainedClassifier) or trained_on is None:
        return teacher
    names = trained_on.class_names
    if names == spec.class_names or sorted(names) != sorted(spec.class_names):
        return teacher
    ordered = teacher.replace(class_order=[names.index(name) for name in spec.class_names])
    set_training_data(ordered, trained_on._replace(class_names=spec.class_names))
    return ordered


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
