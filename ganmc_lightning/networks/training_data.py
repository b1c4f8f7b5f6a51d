"""What a network was trained on, compared with the data it is now used on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.wrappers import unwrapped

ATTRIBUTE = "trained_on"
EQUAL = 1e-6
"""Relative difference of statistics that rounding explains."""
MAX_STD_RATIO = 50.0


class Affine(nn.Module):
    """``x * scale + shift`` for each column, computed in float32 and returned in the precision of the rows.

    The numbers are arguments, not weights: they are not in the state dict.

    Args:
        scale: float64 (D,).
        shift: float64 (D,).

    Example:
        >>> Affine(torch.tensor([2.0]), torch.tensor([1.0]))(torch.tensor([[3.0]]))
        tensor([[7.]])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.to(torch.float32), persistent=False)
        self.register_buffer("shift", shift.to(torch.float32), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Return converted rows (N, D)."""
        return (rows * self.scale + self.shift).to(rows.dtype)


def note_training_data(network: nn.Module, spec: DataSpec) -> None:
    """Attach to a network what it was trained on; copies of the network keep it."""
    setattr(unwrapped(network), ATTRIBUTE, spec)


def training_data_of(network: nn.Module) -> DataSpec | None:
    """What :func:`note_training_data` attached; None where nothing is known."""
    found = getattr(unwrapped(network), ATTRIBUTE, None)
    return found if isinstance(found, DataSpec) else None


def check_classes(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Compare the class names a network was trained on with those of the data, where both are known.

    Args:
        name: its key in the configuration, for the message.
        network: the network, or a module that holds it.
        spec: of the data it is used on.

    Raises:
        ConfigurationError: they differ, or are in another order.
    """
    for trained_on in _all_training_data(network):
        compare_class_names(name, trained_on, spec)


def compare_class_names(name: str, trained_on: DataSpec, spec: DataSpec) -> None:
    """Raise :class:`ConfigurationError` where class names of two data sets differ; unnamed classes match any."""
    for label, (its, due) in enumerate(zip(trained_on.class_names, spec.class_names, strict=False)):
        if its != due:
            raise ConfigurationError(
                f"{name} was trained on other classes, or in another order: its class {label} is '{its}', the data's "
                f"class {label} is '{due}'; train it on data with the same classes in the same order"
            )


def check_statistics(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Compare the statistics of the samples a network was trained on with those of the data, where both are known.

    Rows must have been scaled alike. Images need only have a similar range: their values do not depend on statistics.

    Raises:
        ConfigurationError: rows were scaled otherwise, or images have another range.
    """
    for trained_on in _all_training_data(network):
        its, due = trained_on.statistics, spec.statistics
        if its is None or due is None:
            continue
        _check_comparable(name, its, due, spec)
        if len(spec.sample_shape) == 1 and not _equal(its, due):
            raise ConfigurationError(
                f"{name} was trained on rows scaled by other means and standard deviations than the data's: train both "
                "on the same data.source with the same data.train_size and data.validation_fraction"
            )


def input_conversion(name: str, network: nn.Module, spec: DataSpec) -> nn.Module:
    """Compare what a network was trained on with the data, and make the layer that rescales the data's rows for it.

    Z-scores by one mean and standard deviation become z-scores by others exactly. Normal scores are not converted.

    Args:
        name: its key in the configuration, for the message.
        network: from samples to logits.
        spec: of the data it is used on.

    Returns:
        The layer before the network; the identity where the data are scaled as the network's were, and for images.

    Raises:
        ConfigurationError: it was trained on other classes, on other columns, or on samples that cannot be converted.
    """
    check_classes(name, network, spec)
    return _conversion(name, network, spec, to_data=False)


def output_conversion(name: str, generator: nn.Module, spec: DataSpec) -> nn.Module:
    """Compare what a generator was trained on with the data, and make the layer that rescales its rows to the data's.

    Args:
        name: its key in the configuration, for the message.
        generator: a conditional or unconditional generator.
        spec: of the data its samples are used with.

    Returns:
        The layer behind the generator; the identity where both are scaled alike, and for images.

    Raises:
        ConfigurationError: as :func:`input_conversion`.
    """
    if getattr(generator, "num_classes", 0) > 0:
        check_classes(name, generator, spec)
    return _conversion(name, generator, spec, to_data=True)


def _conversion(name: str, network: nn.Module, spec: DataSpec, to_data: bool) -> nn.Module:
    trained_on = training_data_of(network)
    if trained_on is None or len(spec.sample_shape) != 1:
        check_statistics(name, network, spec)  # a module around it may rescale by itself, or not
        return nn.Identity()
    its, due = trained_on.statistics, spec.statistics
    if its is None or due is None:
        return nn.Identity()
    _check_comparable(name, its, due, spec)
    if _equal(its, due):
        return nn.Identity()
    before, after = (its, due) if to_data else (due, its)
    return Affine(before.std / after.std, (before.mean - after.mean) / after.std)


def _all_training_data(network: nn.Module) -> Iterator[DataSpec]:
    for module in network.modules():
        found = module.__dict__.get(ATTRIBUTE)
        if isinstance(found, DataSpec):
            yield found


def _check_comparable(name: str, its: Statistics, due: Statistics, spec: DataSpec) -> None:
    """Raise :class:`ConfigurationError` where no linear change of each column makes the samples alike."""
    rows = len(spec.sample_shape) == 1
    kind, column = ("rows", "column") if rows else ("images", "channel")
    if its.mean.shape != due.mean.shape:
        raise ConfigurationError(
            f"{name} was trained on {kind} of {len(its.mean)} {column}s, the data have {len(due.mean)}: give it data "
            f"with the same {column}s"
        )
    if bool(its.curves) != bool(due.curves):
        here, there = ("z-scores", "true") if its.curves else ("normal scores", "false")
        raise ConfigurationError(
            f"{name} was trained with data.quantile_transform {there}, the data are {here}: set "
            f"data.quantile_transform to "
            f"{there}"
        )
    if its.curves and not _equal(its, due):
        raise ConfigurationError(
            f"{name} was trained on normal scores of other rows than the data's: train both on the same data.source "
            "with the same data.train_size and data.validation_fraction"
        )
    far = _far_apart(its, due)
    if far is not None:
        of = "" if rows else " of [0, 1]"
        raise ConfigurationError(
            f"{name} was trained on {kind} whose {column} {far} has mean {its.mean[far]:.4g} and standard deviation "
            f"{its.std[far]:.4g}{of}, the data's have {due.mean[far]:.4g} and {due.std[far]:.4g}: give it data of the "
            "same meaning, range and unit"
        )


def _equal(one: Statistics, other: Statistics) -> bool:
    if len(one.curves) != len(other.curves):
        return False
    apart = (one.mean - other.mean).abs() > EQUAL * other.std
    if bool((apart | ((one.std / other.std - 1).abs() > EQUAL)).any()):
        return False
    pairs = zip(one.curves, other.curves, strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=EQUAL, atol=EQUAL) for a, b in pairs)


def _far_apart(one: Statistics, other: Statistics) -> int | None:
    """The first column whose values cannot mean the same in both, such as inverted images and other units."""
    largest, smallest = torch.maximum(one.std, other.std), torch.minimum(one.std, other.std)
    far = (one.mean - other.mean).abs() > largest
    # A scaler divides constant columns by 1, which says nothing of their spread.
    varies = (one.std != 1) & (other.std != 1)
    far |= varies & (largest > MAX_STD_RATIO * smallest)
    found = torch.nonzero(far).flatten()
    return int(found[0]) if len(found) else None
