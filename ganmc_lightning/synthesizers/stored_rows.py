"""Stored rows as networks see them: scaled, which is not the form that tables have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import read_array, to_row_tensor

SCALED = "X_scaled"
"""Array of scaled rows in a file of ``ganmc sample``, whose ``X`` is in the units of the table."""


def read_scaled_rows(path: Path, held: Sequence[str]) -> Tensor:
    """Read scaled rows.

    Args:
        path: the ``.npz`` file.
        held: the names of its arrays, ``X_scaled`` or else ``X`` (N, D) among them.

    Returns:
        float32 (N, D).
    """
    name = SCALED if SCALED in held else "X"
    return to_row_tensor(read_array(path, name), f"{path}: {name}").to(torch.float32)


def check_scaled(rows: Tensor, real: Tensor, where: str) -> None:
    """Refuse rows that were not scaled as the real ones.

    Args:
        rows: float (N, D).
        real: the scaled real rows (M, D).
        where: what to call the rows in a message.

    Raises:
        ConfigurationError: in one column more than half of the values are further from the real range than it is wide.
    """
    low, high = real.amin(dim=0).to(rows.device), real.amax(dim=0).to(rows.device)
    width = (high - low).clamp(min=1.0)
    beyond = ((rows < low - width) | (rows > high + width)).float().mean(dim=0) > 0.5
    if beyond.any():
        column = int(beyond.int().argmax())
        raise ConfigurationError(
            f"{where}: column {column} has the median {rows[:, column].median():.4g} where the scaled real rows lie in "
            f"[{low[column]:.3g}, {high[column]:.3g}]: give scaled rows, as `ganmc sample` writes them in {SCALED}"
        )
