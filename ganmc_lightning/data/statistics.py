"""Statistics of training samples, stored with the networks that are trained on them."""

from __future__ import annotations

import torch

from ganmc_lightning.batch import Statistics
from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.splits import Split

IN_MEMORY, FROM_FILES = 1024, 64
"""Maximum number of images: enough for a rough comparison, because decoding files takes time."""
LEVEL = 1 / 255
"""One of 256 gray levels, the minimum standard deviation."""


def row_statistics(scaler: RowScaler) -> Statistics:
    """Return the statistics that rows are scaled with."""
    return Statistics(scaler.mean, scaler.std, scaler.quantiles)


def channel_statistics(data: Split) -> Statistics | None:
    """Compute mean and standard deviation of each channel over evenly spaced images, for pixels in [0, 1].

    Args:
        data: uint8 images, in memory or in files.

    Returns:
        Mean and standard deviation, float64 (C,), the latter at least :data:`LEVEL`; None for data without images.

    Example:
        >>> images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
        >>> channel_statistics(TensorDataset(images, torch.tensor([0]))).mean
        tensor([0.5000], dtype=torch.float64)
    """
    if len(data) == 0 or len(data.sample_shape) != 3 or 0 in data.sample_shape:
        return None
    count = min(len(data), IN_MEMORY if isinstance(data, TensorDataset) else FROM_FILES)
    index = torch.linspace(0, len(data) - 1, count, dtype=torch.float64).round().long()
    if isinstance(data, TensorDataset):
        images = data.inputs[index.to(data.inputs.device)].cpu()
    else:
        images = torch.stack([data[k][0] for k in index.tolist()])
    values = images.to(torch.float64).transpose(0, 1).flatten(1) / 255
    return Statistics(values.mean(dim=1), values.std(dim=1, correction=0).clamp(min=LEVEL))
