"""Compare the training data of a network with the data that it is used on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.wrappers import unwrap

ATTRIBUTE = "trained_on"
EQUAL = 1e-6
"""Maximum relative difference of statistics that is attributed to rounding."""
MAX_STD_RATIO = 50.0
"""Ratio of standard deviations above which two columns have different units."""


class Affine(nn.Module):
    """``x * scale + shift`` per column, computed in float32 and returned in the precision of the rows.

    Scale and shift are not in the state dict, and remain float32 if the precision of the weights is changed.

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
        """Convert rows (N, D)."""
        return (rows * self.scale + self.shift).to(rows.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Apply a function such as that of ``to``, and restore the float32 values on the new device."""
        exact = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in exact.items():
            converted = self._buffers[name]
            if converted is not None and converted.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(converted.device)
        return self


def set_training_data(network: nn.Module, spec: DataSpec) -> None:
    """Attach the specification of the training data to a network; copies of the network keep it.

    Those of its submodules, such as a backbone that was trained on other classes before, are removed.
    """
    for module in network.modules():
        module.__dict__.pop(ATTRIBUTE, None)
    setattr(unwrap(network), ATTRIBUTE, spec)


def get_training_data(network: nn.Module) -> DataSpec | None:
    """Return the specification attached by :func:`set_training_data`; None if there is none."""
    found = getattr(unwrap(network), ATTRIBUTE, None)
    return found if isinstance(found, DataSpec) else None


def check_classes(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Check that a network was trained on the classes of the data, in equal order; unnamed classes match all classes.

    Args:
        name: configuration key of the network, for error messages.
        network: the network, or a module that contains it.
        spec: specification of the data that the network is used on.

    Raises:
        ConfigurationError: the class names or their order differ.
    """
    for trained_on in _all_training_data(network):
        check_class_names(name, trained_on, spec)


def check_class_names(name: str, trained_on: DataSpec, spec: DataSpec) -> None:
    """Raise :class:`ConfigurationError` if the class names of two data sets differ; unnamed classes match all."""
    for label, (actual, expected) in enumerate(zip(trained_on.class_names, spec.class_names, strict=False)):
        if actual != expected:
            raise ConfigurationError(
                f"{name}: class {label} of its training data is '{actual}', expected '{expected}' as in the data; "
                "train it on data with equal classes in equal order"
            )


def check_column_names(name: str, trained_on: DataSpec, spec: DataSpec) -> None:
    """Raise :class:`ConfigurationError` if the columns of two tables differ; unnamed columns match all.

    Tables of different widths are not compared here.
    """
    for column, (actual, expected) in enumerate(zip(trained_on.columns, spec.columns, strict=False)):
        if actual != expected and len(trained_on.columns) == len(spec.columns):
            raise ConfigurationError(
                f"{name}: column {column} of its training data is '{actual}', got '{expected}' in the data, expected "
                "equal columns in equal order, with equal categories"
            )


def check_statistics(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Check that a network was trained on samples with the statistics of the data, if both are known.

    Rows must have equal statistics. Images, which are not scaled by statistics, must have a similar range.

    Raises:
        ConfigurationError: columns or statistics of rows, or the ranges of images differ.
    """
    for trained_on in _all_training_data(network):
        check_column_names(name, trained_on, spec)
        actual, expected = trained_on.statistics, spec.statistics
        if actual is None or expected is None:
            continue
        _check_comparable(name, actual, expected, spec)
        if len(spec.sample_shape) == 1 and not _equal(actual, expected):
            raise ConfigurationError(
                f"{name}: trained on rows scaled by other means and standard deviations than the data; use equal "
                "data.dataset, data.train_size and data.validation_fraction in both runs"
            )


def input_conversion(name: str, network: nn.Module, spec: DataSpec) -> nn.Module:
    """Validate the training data of a network, and return the layer that rescales the data's rows for the network.

    Z-scores are converted exactly to z-scores of other statistics. Quantile-transformed rows are not converted.

    Args:
        name: configuration key of the network, for error messages.
        network: network of samples that returns logits.
        spec: specification of the data that the network is used on.

    Returns:
        The layer to apply before the network; the identity for equal statistics and for images.

    Raises:
        ConfigurationError: the network was trained on other classes, other columns, or samples that cannot be
            converted.
    """
    check_classes(name, network, spec)
    return _conversion(name, network, spec, to_data=False)


def output_conversion(name: str, generator: nn.Module, spec: DataSpec) -> nn.Module:
    """Validate the training data of a generator, and return the layer that rescales generated rows to the data.

    Args:
        name: configuration key of the generator, for error messages.
        generator: conditional or unconditional generator.
        spec: specification of the data that the samples are used with.

    Returns:
        The layer to apply after the generator; the identity for equal statistics and for images.

    Raises:
        ConfigurationError: as for :func:`input_conversion`.
    """
    if getattr(generator, "num_classes", 0) > 0:
        check_classes(name, generator, spec)
    return _conversion(name, generator, spec, to_data=True)


def rescale_rows(name: str, rows: Tensor, scaled_with: Statistics, spec: DataSpec) -> Tensor:
    """Convert rows that were scaled with other statistics to the scale of the data.

    Args:
        name: origin of the rows, for error messages.
        rows: float (N, D), scaled.
        scaled_with: statistics that the rows were scaled with.
        spec: specification of the data; without statistics, the rows are returned unchanged.

    Raises:
        ConfigurationError: the rows cannot be converted, see :func:`output_conversion`.
    """
    if spec.statistics is None:
        return rows
    converted: Tensor = _row_conversion(name, scaled_with, spec.statistics, spec)(rows)
    return converted


def _conversion(name: str, network: nn.Module, spec: DataSpec, to_data: bool) -> nn.Module:
    trained_on = get_training_data(network)
    if trained_on is None or len(spec.sample_shape) != 1:
        check_statistics(name, network, spec)  # a wrapper may rescale rows itself, so that no conversion is valid
        return nn.Identity()
    check_column_names(name, trained_on, spec)
    actual, expected = trained_on.statistics, spec.statistics
    if actual is None or expected is None:
        return nn.Identity()
    return _row_conversion(name, actual, expected, spec, to_data)


def _row_conversion(
    name: str, actual: Statistics, expected: Statistics, spec: DataSpec, to_data: bool = True
) -> nn.Module:
    _check_comparable(name, actual, expected, spec)
    if _equal(actual, expected):
        return nn.Identity()
    before, after = (actual, expected) if to_data else (expected, actual)
    return Affine(before.std / after.std, (before.mean - after.mean) / after.std)


def _all_training_data(network: nn.Module) -> Iterator[DataSpec]:
    for module in network.modules():
        found = module.__dict__.get(ATTRIBUTE)
        if isinstance(found, DataSpec):
            yield found


def _check_comparable(name: str, actual: Statistics, expected: Statistics, spec: DataSpec) -> None:
    """Raise :class:`ConfigurationError` if no linear map per column converts the samples."""
    rows = len(spec.sample_shape) == 1
    kind, column = ("rows", "column") if rows else ("images", "channel")
    if actual.mean.shape != expected.mean.shape:
        raise ConfigurationError(
            f"{name}: trained on {kind} of {len(actual.mean)} {column}s, expected {len(expected.mean)} as in the data"
        )
    if bool(actual.quantiles) != bool(expected.quantiles):
        raise ConfigurationError(
            f"{name}: trained with data.quantile_transform {str(bool(actual.quantiles)).lower()}, got "
            f"{str(bool(expected.quantiles)).lower()} for the data; set it to the value of the training run"
        )
    if actual.quantiles and not _equal(actual, expected):
        raise ConfigurationError(
            f"{name}: trained on the quantile transform of other rows than the data; use equal data.dataset, "
            "data.train_size and data.validation_fraction in both runs"
        )
    far = _far_apart(actual, expected)
    if far is not None:
        of = "" if rows else " of [0, 1]"
        raise ConfigurationError(
            f"{name}: {column} {far} of its training {kind} has mean {actual.mean[far]:.4g} and standard deviation "
            f"{actual.std[far]:.4g}{of}, got {expected.mean[far]:.4g} and {expected.std[far]:.4g} in the data, "
            f"expected {kind} of equal range and unit"
        )


def _equal(one: Statistics, other: Statistics) -> bool:
    if len(one.quantiles) != len(other.quantiles):
        return False
    apart = (one.mean - other.mean).abs() > EQUAL * other.std
    if bool((apart | ((one.std / other.std - 1).abs() > EQUAL)).any()):
        return False
    pairs = zip(one.quantiles, other.quantiles, strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=EQUAL, atol=EQUAL) for a, b in pairs)


def _far_apart(one: Statistics, other: Statistics) -> int | None:
    """Return the first column with another range or unit, e.g. a channel of inverted images; None if there is none."""
    largest, smallest = torch.maximum(one.std, other.std), torch.minimum(one.std, other.std)
    far = (one.mean - other.mean).abs() > largest
    # The std of constant columns is set to 1 by the scaler and is not comparable.
    varies = (one.std != 1) & (other.std != 1)
    far |= varies & (largest > MAX_STD_RATIO * smallest)
    found = torch.nonzero(far).flatten()
    return int(found[0]) if len(found) else None
