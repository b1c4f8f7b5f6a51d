"""Nearest neighbors and categorical columns, for SMOTE and MUNGE."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

CategoricalFeatures = Sequence[int | Sequence[int]]
"""Categorical columns: the index of a column, or the list of the columns of a one-hot block."""


PART_ROWS = 50_000
"""Largest number of rows that neighbors are searched in.

With more than 15 columns, the time of an exact search grows with the squared number. With fewer, scikit-learn uses k-d
trees; then too, the search of 100,000 rows of 8 or 15 columns in two parts takes only a third to half of its time.
"""


def check_real_rows(name: str, inputs: Tensor | None) -> Tensor:
    """Return ``inputs`` after checking that they are finite float rows (N, D).

    Args:
        name: synthesizer, for error messages.
        inputs: real samples, or None for data read from files.

    Raises:
        ConfigurationError: the inputs are images, not in memory, or not finite.
    """
    if inputs is None:
        raise ConfigurationError(f"{name}: got data read from files, expected data in memory")
    if inputs.ndim != 2 or not inputs.is_floating_point():
        raise ConfigurationError(
            f"{name}: got samples of shape {tuple(inputs.shape[1:])}, expected rows (D,) of numbers"
        )
    if not bool(inputs.isfinite().all()):
        column = int((~inputs.isfinite()).any(dim=0).nonzero()[0])
        raise ConfigurationError(f"{name}: got NaN or infinity in column {column}, expected finite values")
    return inputs


def group_features(name: str, categorical_features: CategoricalFeatures, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Assign a group index to each column; columns of a one-hot block change together and share one.

    Args:
        name: synthesizer, for error messages.
        categorical_features: categorical columns.
        rows: real rows (N, D).

    Returns:
        Group index of each column, int64 (D,), where a column outside a block is its own group; and whether each column
        is categorical, bool (D,). Both are on the device of the rows.

    Raises:
        ConfigurationError: a column does not exist, or is listed twice.

    Example:
        >>> group_features("demo", [0, [2, 3]], torch.zeros(1, 4))
        (tensor([0, 1, 2, 2]), tensor([ True, False,  True,  True]))
    """
    num_columns = rows.shape[1]
    group = torch.arange(num_columns, device=rows.device)
    discrete = torch.zeros(num_columns, dtype=torch.bool, device=rows.device)
    for entry in categorical_features:
        columns = [entry] if isinstance(entry, int) else list(entry)
        for column in columns:
            if not 0 <= column < num_columns:
                raise ConfigurationError(
                    f"{name}.categorical_features: got column {column}, expected 0 to {num_columns - 1}"
                )
            if discrete[column]:
                raise ConfigurationError(f"{name}.categorical_features: got column {column} twice")
            discrete[column] = True
            group[column] = columns[0]
    return torch.unique(group, return_inverse=True)[1], discrete


def nearest_rows(name: str, rows: Tensor, k: int) -> Tensor:
    """Return the indices of the ``k`` nearest other rows by Euclidean distance, int64 (N, k), nearest first.

    More than :data:`PART_ROWS` rows are divided at random, with a fixed seed, into equal parts of at most as many rows;
    neighbors are then those in the part of a row.

    Args:
        name: synthesizer, for error messages.
        rows: float (N, D).
        k: number of neighbors, less than N.

    Raises:
        ConfigurationError: there are ``k`` rows or fewer.

    Example:
        >>> nearest_rows("demo", torch.tensor([[0.0], [1.0], [3.0]]), 1).flatten()
        tensor([1, 0, 1])
    """
    if len(rows) <= k:
        raise ConfigurationError(f"{name}: got {len(rows)} rows, expected more than {k}, the number of neighbors")
    # scikit-learn uses a tree for few columns and blocks of distances for many, and never stores all N x N distances.
    from sklearn.neighbors import NearestNeighbors

    values, search = rows.cpu().numpy(), NearestNeighbors(n_neighbors=k)
    indices = np.empty((len(rows), k), dtype=np.int64)
    for part in _parts(len(rows), max(PART_ROWS, 2 * (k + 1))):  # each part has more than k rows
        indices[part] = part[search.fit(values[part]).kneighbors(return_distance=False)]
    return torch.from_numpy(indices).to(rows.device)


def _parts(num_rows: int, largest: int) -> list[NDArray[np.int64]]:
    """Divide row indices into parts of at most ``largest`` rows: at random where there are more."""
    count = math.ceil(num_rows / largest)
    rows = np.arange(num_rows) if count == 1 else np.random.default_rng(0).permutation(num_rows)
    return np.array_split(rows, count)


def balanced_indices(num_rows: int, n: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Return ``n`` row indices with every row equally often: complete passes, then rows without replacement.

    Example:
        >>> balanced_indices(2, 4, torch.device("cpu"), None)
        tensor([0, 1, 0, 1])
    """
    rest = torch.randperm(num_rows, device=device, generator=generator)[: n % num_rows]
    return torch.cat([torch.arange(num_rows, device=device).repeat(n // num_rows), rest])
