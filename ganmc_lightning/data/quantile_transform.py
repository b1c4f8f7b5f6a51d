"""Normal scores: a change of each column that makes it standard normal and can be undone."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_KNOTS = 256
"""Most points of the piecewise linear curve: enough for its tails, few enough for a checkpoint."""


def normal_score_curve(column: Tensor) -> Tensor:
    """The curve that turns the values of a column into normal scores.

    The score of a value is the normal quantile of its rank: ``ndtri((rank - 1/2) / N)``, where equal values share
    their mean rank. The curve goes through at most :data:`MAX_KNOTS` of these points, evenly spaced in the score.

    Args:
        column: float64 (N,), at least one value, all finite.

    Returns:
        Values and scores, float64 (2, K) with K at least 2, both strictly ascending.

    Example:
        >>> normal_score_curve(torch.tensor([5.0, 7.0, 7.0, 9.0], dtype=torch.float64))
        tensor([[ 5.0000,  7.0000,  9.0000],
                [-1.1503,  0.0000,  1.1503]], dtype=torch.float64)
    """
    values, counts = torch.unique(column, return_counts=True)
    scores = torch.special.ndtri((counts.cumsum(0) - counts / 2).to(torch.float64) / len(column))
    if len(values) == 1:  # a straight line: a constant has no scores
        return torch.stack([values + torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0], dtype=torch.float64)])
    even = torch.linspace(scores[0].item(), scores[-1].item(), MAX_KNOTS, dtype=torch.float64)
    kept = torch.unique(torch.searchsorted(scores, even).clamp(max=len(scores) - 1))
    return torch.stack([values, scores])[:, kept]


def interpolate(x: Tensor, knots: Tensor, heights: Tensor) -> Tensor:
    """A piecewise linear curve, continued beyond its ends with the slope of its first and last piece.

    Args:
        x: where to take it, float64 (N,).
        knots: strictly ascending, (K,) with K at least 2.
        heights: of the curve at the knots, (K,).
    """
    right = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    left = right - 1
    slope = (heights[right] - heights[left]) / (knots[right] - knots[left])
    return heights[left] + (x - knots[left]) * slope
