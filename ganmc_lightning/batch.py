"""The stream's one item and the shape it must have: what data, modules and synthesizers agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

UNKNOWN_LABEL = -1
"""Label of a sample whose class nobody knows; every loss on labels leaves it out."""


class Batch(NamedTuple):
    """Samples of one step, real and synthetic.

    Attributes:
        inputs: float (N, C, H, W) in [-1, 1] for images, z-scored float (N, D) for rows.
        labels: int64 (N,); for a synthetic sample the class it was generated for, or
            :data:`UNKNOWN_LABEL`.
        synthetic: bool (N,), True where a synthesizer made the sample.
        teacher_logits: float (N, K), the logits of the teacher given to :class:`SupportsTeacherLogits`; None where
            there is none, or where no sample of the batch has stored logits.
        weights: float (N,) of the samples in training, 1 on average over the data set; None where all count alike.
    """

    inputs: Tensor
    labels: Tensor
    synthetic: Tensor
    teacher_logits: Tensor | None = None
    weights: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Statistics:
    """Means and standard deviations of training samples.

    Attributes:
        mean: float64; of rows (D,) in their own units, or of their normal scores; of images (C,), channels in [0, 1].
        std: likewise.
        curves: of rows turned into normal scores, each column's values and scores, float64 (2, K); empty otherwise.
    """

    mean: Tensor
    std: Tensor
    curves: tuple[Tensor, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        """The statistics by name, to be stored in a checkpoint."""
        return {"mean": self.mean, "std": self.std, "curves": list(self.curves)}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`state_dict` describes."""
        return cls(state["mean"], state["std"], tuple(state["curves"]))


class DataSpec(NamedTuple):
    """What a network must fit: the shape of one sample and the classes, and how the samples were scaled.

    Attributes:
        sample_shape: ``(C, H, W)`` for images, ``(D,)`` for rows, ``(0,)`` where there are no samples.
        num_classes: labels run from 0 to ``num_classes - 1``.
        class_names: in the order of the labels; empty where the classes have no names.
        statistics: of the training samples. Rows are standardized by them, images are in [-1, 1] whatever they are;
            None where they are unknown.
        weighted: whether the training samples have weights.
    """

    sample_shape: tuple[int, ...]
    num_classes: int
    class_names: tuple[str, ...] = ()
    statistics: Statistics | None = None
    weighted: bool = False

    def state_dict(self) -> dict[str, Any]:
        """The fields by name, to be stored in a checkpoint beside a network trained on such data."""
        return {
            "sample_shape": list(self.sample_shape),
            "num_classes": self.num_classes,
            "class_names": [str(name) for name in self.class_names],
            "statistics": self.statistics and self.statistics.state_dict(),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`state_dict` describes."""
        statistics = state["statistics"]
        return cls(
            tuple(state["sample_shape"]),
            state["num_classes"],
            tuple(state["class_names"]),
            None if statistics is None else Statistics.of_state(statistics),
        )

    @property
    def has_samples(self) -> bool:
        """Whether there are real samples at all; methods that need none may train on a stream of nothing."""
        return 0 not in self.sample_shape


@runtime_checkable
class SupportsDataSpec(Protocol):
    """What modules and callbacks may ask of a data module, once it is set up."""

    @property
    def spec(self) -> DataSpec:
        """The shape of one sample and the number of classes."""
        ...

    def samples(self, part: str) -> tuple[Tensor, Tensor]:
        """All stored inputs and labels of ``"train"``, ``"val"`` or ``"test"``, on the training device."""
        ...


@runtime_checkable
class SupportsTeacherLogits(Protocol):
    """A data module that computes a teacher's logits of stored samples once and sends them with the batches."""

    def supply_logits_of(self, teacher: Callable[[Tensor], Tensor]) -> None:
        """Fill :attr:`Batch.teacher_logits` from now on, where samples are served unchanged and more than once.

        Args:
            teacher: from samples (N, *sample_shape) on the training device to logits (N, K), without a graph and
                without random parts such as dropout.
        """
        ...


def decode(inputs: Tensor) -> Tensor:
    """Turn stored samples into what networks see.

    Args:
        inputs: uint8 images in [0, 255], or float samples, which are returned as they are.

    Returns:
        float32 images in [-1, 1], or the float samples.

    Example:
        >>> decode(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([-1.,  1.])
    """
    if inputs.dtype == torch.uint8:
        return inputs.to(torch.float32).mul_(2 / 255).sub_(1)
    return inputs


def encode(images: Tensor) -> Tensor:
    """Turn float images in [-1, 1] into uint8 in [0, 255], rounding to the nearest level in float32.

    Example:
        >>> encode(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
