"""Quantile transform of a column to a standard normal distribution, as a piecewise linear function."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_QUANTILES = 256
"""Maximum number of points of the piecewise linear function: enough for the tails, few in a checkpoint."""


def normal_quantiles(column: Tensor) -> Tensor:
    """Compute the points of the function that maps the values of a column to normal quantiles.

    The quantile of a value is ``ndtri((rank - 1/2) / N)``; equal values share their mean rank. At most
    :data:`MAX_QUANTILES` points are kept, evenly spaced in the quantile. The function corresponds to scikit-learn's
    ``QuantileTransformer(output_distribution="normal")``.

    Args:
        column: float64 (N,), N at least 1, all finite.

    Returns:
        Values and quantiles, float64 (2, Q) with Q at least 2, both strictly ascending.

    Example:
        >>> normal_quantiles(torch.tensor([5.0, 7.0, 7.0, 9.0], dtype=torch.float64))
        tensor([[ 5.0000,  7.0000,  9.0000],
                [-1.1503,  0.0000,  1.1503]], dtype=torch.float64)
    """
    values, counts = torch.unique(column, return_counts=True)
    quantiles = torch.special.ndtri((counts.cumsum(0) - counts / 2).to(torch.float64) / len(column))
    if len(values) == 1:  # a constant column has no quantiles: use the line through (value, 0) with slope 1
        # 1 is lost in the rounding of a value of 1e16 or more
        distance = max(1.0, abs(values.item()) * 1e-6)
        points = torch.tensor([0.0, distance], dtype=torch.float64)
        return torch.stack([values + points, points])
    even = torch.linspace(quantiles[0].item(), quantiles[-1].item(), MAX_QUANTILES, dtype=torch.float64)
    kept = torch.unique(torch.searchsorted(quantiles, even).clamp(max=len(quantiles) - 1))
    return torch.stack([values, quantiles])[:, kept]


def interpolate(x: Tensor, xp: Tensor, fp: Tensor) -> Tensor:
    """Evaluate a piecewise linear function like ``numpy.interp``, but extrapolate its first and last piece linearly.

    Args:
        x: x-coordinates to evaluate, float64 (N,).
        xp: x-coordinates of the points, strictly ascending, (Q,) with Q at least 2.
        fp: y-coordinates of the points, (Q,).

    Example:
        >>> interpolate(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 10.0, 30.0]))
        tensor([ 5., 50.])
    """
    right = torch.searchsorted(xp, x.contiguous()).clamp(1, len(xp) - 1)
    left = right - 1
    slope = (fp[right] - fp[left]) / (xp[right] - xp[left])
    return fp[left] + (x - xp[left]) * slope
