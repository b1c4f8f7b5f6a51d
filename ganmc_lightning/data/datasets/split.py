"""Cutting a seeded part off a labelled data set so that every class keeps its share."""

from __future__ import annotations

import torch
from torch import Tensor


def stratified_split(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Cut off a part in which every class has its share.

    Args:
        labels: int64 (N,).
        fraction: share of each class that is cut off, rounded; a class of two or more samples gives at least
            one and keeps at least one, a class of one sample keeps it.
        seed: the same seed gives the same parts.

    Returns:
        Sorted indices of what is kept and of what is cut off.

    Example:
        >>> labels = torch.tensor([0, 0, 0, 0, 1, 1])
        >>> kept, cut = stratified_split(labels, 0.5, seed=0)
        >>> labels[kept], labels[cut]
        (tensor([0, 0, 1]), tensor([0, 0, 1]))
    """
    kept, cut = [], []
    for index in shuffled_by_class(labels, seed):
        count = min(max(round(fraction * len(index)), 1), len(index) - 1)
        cut.append(index[:count])
        kept.append(index[count:])
    return torch.cat(kept).sort().values, torch.cat(cut).sort().values


def shuffled_by_class(labels: Tensor, seed: int) -> list[Tensor]:
    """Return the indices of each class that occurs, in ascending order of the class, shuffled."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    present: Tensor = torch.unique(labels)
    return [order[labels[order] == label] for label in present]
