"""What synthesizers that mix neighboring rows have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

Columns = Sequence[int | Sequence[int]]
"""Columns that hold categories: a number, or, for a column that was one-hot encoded, the list of its columns."""


def check_rows(name: str, inputs: Tensor | None) -> Tensor:
    """Return float rows (N, D).

    Args:
        name: the synthesizer, for the message.
        inputs: what the data module hands over.

    Raises:
        ConfigurationError: they are images, or not in memory, or not finite.
    """
    if inputs is None:
        raise ConfigurationError(f"{name} needs the real samples in memory; this source reads them from files")
    if inputs.ndim != 2 or not inputs.is_floating_point():
        raise ConfigurationError(
            f"{name} mixes rows (N, D) of numbers; the data have samples of shape {tuple(inputs.shape[1:])}"
        )
    if not bool(inputs.isfinite().all()):
        column = int((~inputs.isfinite()).any(dim=0).nonzero()[0])
        raise ConfigurationError(f"{name}: column {column} holds NaN or infinity: fill it in or leave those rows out")
    return inputs


def group_columns(name: str, categorical: Columns, num_columns: int) -> tuple[Tensor, Tensor]:
    """Number what must change together.

    Args:
        name: the synthesizer, for the message.
        categorical: columns of categories.
        num_columns: D.

    Returns:
        For each column the number of its group, int64 (D,), a column alone being a group; and whether it holds
        categories, bool (D,).

    Raises:
        ConfigurationError: there is no such column, or it is named twice.

    Example:
        >>> group_columns("demo", [0, [2, 3]], 4)
        (tensor([0, 1, 2, 2]), tensor([ True, False,  True,  True]))
    """
    group = torch.arange(num_columns)
    discrete = torch.zeros(num_columns, dtype=torch.bool)
    for entry in categorical:
        columns = [entry] if isinstance(entry, int) else list(entry)
        for column in columns:
            if not 0 <= column < num_columns:
                raise ConfigurationError(
                    f"{name}.categorical: there is no column {column}; they run from 0 to {num_columns - 1}"
                )
            if discrete[column]:
                raise ConfigurationError(f"{name}.categorical: column {column} is named twice")
            discrete[column] = True
            group[column] = columns[0]
    return torch.unique(group, return_inverse=True)[1], discrete


def nearest_rows(name: str, rows: Tensor, k: int) -> Tensor:
    """Indices of the ``k`` nearest other rows (Euclidean), int64 (N, k), nearest first.

    Args:
        name: whose neighbors are too few, for the message.
        rows: float (N, D).
        k: how many.

    Raises:
        ConfigurationError: there are not more than ``k`` rows.
    """
    if len(rows) <= k:
        raise ConfigurationError(
            f"{name}: {len(rows)} rows are too few for {k} neighbors: give more rows, or ask for fewer"
        )
    # A tree where there are few columns, blocks of a matrix product where there are many; never all N x N distances.
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k).fit(rows.cpu().numpy()).kneighbors(return_distance=False)
    return torch.from_numpy(found).to(rows.device, torch.int64)


def balanced_indices(num_rows: int, n: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """``n`` row indices that use every row equally often: whole passes, then a part of one without replacement."""
    rest = torch.randperm(num_rows, device=device, generator=generator)[: n % num_rows]
    return torch.cat([torch.arange(num_rows, device=device).repeat(n // num_rows), rest])
