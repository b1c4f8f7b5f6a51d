"""Find the mean and the standard deviation of a teacher's inputs that nobody gave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression.teacher import SplitLogits, is_better_than_chance, is_more_accurate
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import NormalizedInput, PretrainedClassifier
from ganmc_lightning.networks.training_data import get_training_data

STANDARD_ERRORS = 2.0
"""Other statistics are better if the accuracy increases by more than this multiple of its standard error."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MeanStd = tuple[tuple[float, ...], tuple[float, ...]]


def check_input_statistics(
    teacher: nn.Module, val: SplitLogits, spec: DataSpec, compute: Callable[[nn.Module], SplitLogits]
) -> None:
    """Compare the accuracy of a teacher with that for other usual statistics of its inputs, if it has assumed ones.

    The alternatives are [-1, 1], [0, 1], ImageNet's, and mean and standard deviation of the training data. Their
    accuracies on the validation images are compared with the paired standard error of the difference.

    Args:
        teacher: the teacher; it is not checked if its mean and std were passed, if it is a
            :class:`~ganmc_lightning.networks.NormalizedInput`, or if this package trained it.
        val: its logits of the validation samples.
        spec: specification of the data.
        compute: returns the logits of a classifier for the validation samples.

    Raises:
        ConfigurationError: other statistics are better, and better than chance.
    """
    assumed = _with_assumed_statistics(teacher)
    if assumed is None:
        return
    channels = spec.sample_shape[0]
    current = _statistics(assumed, channels)
    found, accuracy, name = current, val.accuracy, ""
    for other, candidate in _alternatives(spec).items():
        if _equal(candidate, current):
            continue
        logits = compute(assumed.replace(mean=candidate[0], std=candidate[1]))
        better = logits.accuracy > accuracy and is_more_accurate(val, logits, STANDARD_ERRORS)
        if better and is_better_than_chance(logits):
            found, accuracy, name = candidate, logits.accuracy, other
    if not name:
        return
    mean, std = map(_join, found)
    source = {"default": "the default"}.get(assumed.statistics_source, f"from {assumed.statistics_source}")
    raise ConfigurationError(
        f"teacher: got an accuracy of {val.accuracy:.1%} on {len(val.labels)} validation images with mean "
        f"{_join(current[0])} and std {_join(current[1])} ({source}), and {accuracy:.1%} with those of {name}; pass "
        f"--teacher-mean {mean} --teacher-std {std}, or the first ones to keep them (in Python: load_network(mean=..., "
        "std=...), or NormalizedInput(Normalize(mean, std), teacher))"
    )


def _with_assumed_statistics(teacher: nn.Module) -> PretrainedClassifier | None:
    """Return a teacher whose mean and std were assumed: those of [-1, 1] for a plain module. None if they are known."""
    if isinstance(teacher, PretrainedClassifier):
        return teacher if teacher.statistics_source else None
    if isinstance(teacher, NormalizedInput) or get_training_data(teacher) is not None:
        return None
    assumed = PretrainedClassifier(teacher)
    assumed.statistics_source = "default"
    return assumed


def _alternatives(spec: DataSpec) -> Mapping[str, MeanStd]:
    channels = spec.sample_shape[0]
    found: dict[str, MeanStd] = {
        "images in [-1, 1]": ((0.5,) * channels, (0.5,) * channels),
        "images in [0, 1]": ((0.0,) * channels, (1.0,) * channels),
    }
    if channels == len(IMAGENET[0]):
        found["ImageNet"] = IMAGENET
    if spec.statistics is not None:
        mean, std = (
            tuple(round(value, 3) for value in item.tolist()) for item in (spec.statistics.mean, spec.statistics.std)
        )
        if min(std) > 0:
            found["the training images"] = (mean, std)
    return found


def _statistics(teacher: PretrainedClassifier, channels: int) -> MeanStd:
    if teacher.mean is None or teacher.std is None:
        return (0.5,) * channels, (0.5,) * channels
    return tuple(teacher.mean), tuple(teacher.std)


def _equal(one: MeanStd, other: MeanStd) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(sum(one, ()), sum(other, ()), strict=True))


def _join(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
