"""Parts of a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.data.sources.base import ArrayDataset, FileDataset
from ganmc_lightning.data.sources.split import shuffled_by_class

Part = ArrayDataset | FileDataset


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int) -> Tensor:
    """Choose ``size`` of ``indices`` with the class shares of the whole; sorted.

    Args:
        labels: int64 (N,) of the whole data set.
        indices: the samples to choose from.
        size: how many, at least one a class.
        seed: seeds the choice.
    """
    groups = [indices[index] for index in shuffled_by_class(labels[indices], seed)]
    counts = [1 + int((size - len(groups)) * len(group) / len(indices)) for group in groups]
    counts = [min(count, len(group)) for count, group in zip(counts, groups, strict=True)]
    while sum(counts) < size:  # rounding left a few: the classes furthest below their share get them
        shares = [
            count / len(group) if count < len(group) else 2.0 for count, group in zip(counts, groups, strict=True)
        ]
        counts[shares.index(min(shares))] += 1
    return torch.cat([group[:count] for group, count in zip(groups, counts, strict=True)]).sort().values
