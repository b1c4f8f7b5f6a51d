"""The batch type and the data specification shared by data modules, LightningModules and synthesizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

RANGE_TOLERANCE = 1e-3
"""Allowed excess over [-1, 1]: rounding errors are smaller, the excess of a wrong range is much larger."""
UNKNOWN_LABEL = -1
"""Label of a sample without a known class; the ``ignore_index`` of all losses on labels."""


class Batch(NamedTuple):
    """Samples of one step, real and synthetic.

    Attributes:
        inputs: float (N, C, H, W) in [-1, 1] for images, z-scored float (N, D) for rows.
        labels: int64 (N,); for a synthetic sample the class it was generated for, or :data:`UNKNOWN_LABEL`.
        synthetic: bool (N,), True for synthetic samples.
        teacher_logits: float (N, K), logits of the teacher passed to :class:`SupportsTeacherLogits`; None without a
            teacher, or if no sample of the batch has cached logits.
        weights: sample weights, float (N,), with mean 1 over the training set; None for equal weights.
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
        mean: float64; for rows (D,) in the units of the table, or after the quantile transform; for images (C,), per
            channel for pixels in [0, 1].
        std: standard deviation, with the shape and units of ``mean``.
        quantiles: values and normal quantiles of each column, float64 (2, Q); empty without quantile transform.
    """

    mean: Tensor
    std: Tensor
    quantiles: tuple[Tensor, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        """Return the fields by name, for a checkpoint."""
        return {"mean": self.mean, "std": self.std, "quantiles": list(self.quantiles)}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the statistics from :meth:`state_dict`."""
        return cls(state["mean"], state["std"], tuple(state["quantiles"]))


class DataSpec(NamedTuple):
    """Shape, classes and statistics of a data set, which networks are validated against.

    Attributes:
        sample_shape: ``(C, H, W)`` for images, ``(D,)`` for rows, ``(0,)`` for data-free training.
        num_classes: K; labels are 0 to K - 1.
        class_names: names in the order of the labels; empty for unnamed classes.
        statistics: statistics of the training samples; None if unknown. Rows are standardized with them, images are
            not.
        weighted: whether the training samples have weights.
        columns: names of the encoded columns of rows; empty for images and unnamed columns.

    Example:
        >>> DataSpec((3, 32, 32), num_classes=10).has_samples, DataSpec((0,), num_classes=0).has_samples
        (True, False)
    """

    sample_shape: tuple[int, ...]
    num_classes: int
    class_names: tuple[str, ...] = ()
    statistics: Statistics | None = None
    weighted: bool = False
    columns: tuple[str, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        """Return the fields by name, for the checkpoint of a network trained on such data.

        :attr:`columns` are not included, because the checkpoint contains the schema of the table.
        """
        return {
            "sample_shape": list(self.sample_shape),
            "num_classes": self.num_classes,
            "class_names": [str(name) for name in self.class_names],
            "statistics": self.statistics and self.statistics.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the specification from :meth:`state_dict`."""
        statistics = state["statistics"]
        return cls(
            tuple(state["sample_shape"]),
            state["num_classes"],
            tuple(state["class_names"]),
            None if statistics is None else Statistics.from_state_dict(statistics),
        )

    @property
    def has_samples(self) -> bool:
        """Whether samples have values; False for :class:`~ganmc_lightning.data.datasets.DataFreeSource`."""
        return 0 not in self.sample_shape


@runtime_checkable
class SupportsDataSpec(Protocol):
    """Interface of a data module after ``setup()``, as used by LightningModules and callbacks."""

    @property
    def spec(self) -> DataSpec:
        """Shape of one sample, classes and statistics."""
        ...

    def samples(self, split: str) -> tuple[Tensor, Tensor]:
        """Return all stored inputs and labels of ``"train"``, ``"val"`` or ``"test"``, on the training device."""
        ...


@runtime_checkable
class SupportsValidationSplit(Protocol):
    """Interface of a data module that may have no validation samples."""

    @property
    def validation_split(self) -> str:
        """Split of ``val_dataloader``: ``"val"``, or ``"test"`` without validation samples.

        Metrics are logged under this name, and nothing is selected by those of the test split.
        """
        ...


@runtime_checkable
class SupportsTeacherLogits(Protocol):
    """Interface of a data module that caches a teacher's logits of stored samples and adds them to the batches."""

    def supply_logits_of(self, teacher: Callable[[Tensor], Tensor], obstacle: str = "") -> None:
        """Fill :attr:`Batch.teacher_logits` for samples that are returned unchanged more than once.

        Args:
            teacher: function of samples (N, *sample_shape) on the training device that returns logits (N, K), without
                a graph and without random layers such as dropout.
            obstacle: reason why the logits of a sample differ between steps or do not suffice, such as dropout; then no
                logits are added. "" if there is none.
        """
        ...


def to_float_images(inputs: Tensor) -> Tensor:
    """Convert stored uint8 images to float32 in [-1, 1]; return float samples unchanged.

    Args:
        inputs: uint8 images in [0, 255], or float samples.

    Example:
        >>> to_float_images(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([-1.,  1.])
    """
    if inputs.dtype == torch.uint8:
        return inputs.to(torch.float32).mul_(2 / 255).sub_(1)
    return inputs


def check_generated(samples: Tensor, name: str) -> None:
    """Validate samples of a generator, before a conversion to uint8 would hide invalid values.

    Args:
        samples: float images (N, C, H, W) or rows (N, D).
        name: generator or synthesizer, for the error message.

    Raises:
        ConfigurationError: values are NaN or infinite, or images exceed [-1, 1].

    Example:
        >>> check_generated(torch.tensor([[0.5, 7.0]]), "generator")  # a row
    """
    if samples.numel() == 0:
        return
    low, high = (value.item() for value in samples.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigurationError(f"{name}: got NaN or infinite samples, expected finite ones; the generator diverged")
    if samples.dim() == 4 and max(-low, high) > 1 + RANGE_TOLERANCE:
        raise ConfigurationError(
            f"{name}: got images in [{low:.4g}, {high:.4g}], expected [-1, 1], as the output of tanh"
        )


def to_uint8_images(images: Tensor) -> Tensor:
    """Convert float images in [-1, 1] to uint8 in [0, 255], rounded to the nearest level in float32.

    Example:
        >>> to_uint8_images(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
