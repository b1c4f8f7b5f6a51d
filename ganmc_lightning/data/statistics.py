"""Statistics of training samples that travel with the networks trained on them."""

from __future__ import annotations

import torch

from ganmc_lightning.batch import Statistics
from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.splitting import Part

IN_MEMORY, FROM_FILES = 1024, 64
"""Most images looked at: their statistics are compared roughly, and files take time to decode."""
LEVEL = 1 / 255


def row_statistics(scaler: RowScaler) -> Statistics:
    """What rows were scaled by."""
    return Statistics(scaler.mean, scaler.std, scaler.curves)


def channel_statistics(part: Part) -> Statistics | None:
    """Mean and standard deviation of each channel over evenly spaced images, for values in [0, 1].

    Args:
        part: uint8 images, in memory or in files.

    Returns:
        float64 (C,) each, a standard deviation of at least one level; None where there are no images.
    """
    if len(part) == 0 or len(part.sample_shape) != 3 or 0 in part.sample_shape:
        return None
    count = min(len(part), IN_MEMORY if isinstance(part, TensorDataset) else FROM_FILES)
    index = torch.linspace(0, len(part) - 1, count, dtype=torch.float64).round().long()
    if isinstance(part, TensorDataset):
        images = part.inputs[index.to(part.inputs.device)].cpu()
    else:
        images = torch.stack([part[k][0] for k in index.tolist()])
    values = images.to(torch.float64).transpose(0, 1).flatten(1) / 255
    return Statistics(values.mean(dim=1), values.std(dim=1, correction=0).clamp(min=LEVEL))
