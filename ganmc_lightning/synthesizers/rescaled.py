"""Samples of a ``.npz`` file in the scale of the data, and the statistics that they were scaled with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import list_arrays, read_array
from ganmc_lightning.io.samples import SCALED, check_scaled, check_shape, read_npz_samples
from ganmc_lightning.networks.training_data import rescale_rows

MEAN, STD, QUANTILES = "X_scaled_mean", "X_scaled_std", "X_scaled_quantiles"
"""Arrays of the statistics that these rows were scaled with."""


def statistics_to_arrays(statistics: Statistics) -> dict[str, NDArray[np.float64]]:
    """Return the statistics that rows were scaled with as arrays of a ``.npz`` file; see :func:`read_statistics`."""
    arrays = {MEAN: statistics.mean.numpy(), STD: statistics.std.numpy()}
    quantiles = {f"{QUANTILES}_{column}": each.numpy() for column, each in enumerate(statistics.quantiles)}
    return {**arrays, **quantiles}


def read_statistics(path: Path) -> Statistics | None:
    """Read the statistics that the rows of a ``.npz`` file were scaled with.

    Returns:
        The statistics; None if the file has none, or contains only ``X``.

    Raises:
        ConfigurationError: an array is damaged or has another shape than ``ganmc sample`` writes, a value is not a
            finite number, or a standard deviation is not positive.
    """
    arrays = list_arrays(path)
    if not {SCALED, MEAN, STD} <= set(arrays):
        return None
    names = [MEAN, STD, *(name for k in range(len(arrays)) if (name := f"{QUANTILES}_{k}") in arrays)]
    mean, std, *quantiles = (torch.from_numpy(_read_numbers(path, name)) for name in names)
    if mean.dim() != 1 or mean.shape != std.shape or any(each.dim() != 2 or len(each) != 2 for each in quantiles):
        raise ConfigurationError(f"{path}: {MEAN}, {STD}: got other shapes than `ganmc sample` writes")
    if bool((std <= 0).any()):
        raise ConfigurationError(f"{path}: {STD}: got {float(std.min()):.4g}, expected positive numbers")
    return Statistics(mean, std, tuple(quantiles))


def _read_numbers(path: Path, name: str) -> NDArray[np.float64]:
    values = read_array(path, name)
    if values.dtype.kind not in "fiu":
        raise ConfigurationError(f"{path}: {name}: got dtype {values.dtype}, expected numbers")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ConfigurationError(f"{path}: {name}: got NaN or infinity, expected finite numbers")
    return values


def read_rescaled_samples(path: Path, spec: DataSpec, real: Tensor | None) -> Tensor:
    """Read the samples of a ``.npz`` file, convert them to the data, and validate shape and scale.

    Rows are rescaled. The channel of gray images is repeated for color data, as that of image files.

    Args:
        path: file with ``images``, or scaled rows ``X_scaled``, else ``X``; see
            :func:`~ganmc_lightning.io.samples.read_npz_samples`.
        spec: specification of the data.
        real: scaled real rows (M, D), to validate the scale of rows; None does not validate it.

    Returns:
        uint8 images (N, C, H, W) or float32 rows (N, D).

    Raises:
        ConfigurationError: the file is missing or damaged, or its samples have another shape or scale.
    """
    samples = read_npz_samples(path)
    if samples.dim() == 4 and (samples.shape[1], spec.sample_shape[0]) == (1, 3):
        samples = samples.expand(-1, 3, -1, -1)
    check_shape(samples, spec.sample_shape, str(path))
    if samples.dim() == 2:
        scaled_with = read_statistics(path)
        if scaled_with is not None:
            samples = rescale_rows(f"the generator of {path}", samples, scaled_with, spec)
        if real is not None:
            check_scaled(samples, real, str(path))
    return samples
