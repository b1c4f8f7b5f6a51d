"""Samples of a ``.npz`` file in the scale of the data."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.io.samples import check_scaled, check_shape, read_npz_samples, read_statistics
from ganmc_lightning.networks.training_data import rescale_rows


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
