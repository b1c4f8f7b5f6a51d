"""Scaling of table rows for networks, and its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ganmc_lightning.data.columns import ColumnConstraints
from ganmc_lightning.data.quantile_transform import interpolate, normal_quantiles


class RowScaler(NamedTuple):
    """Standardize each column (z-scores), optionally after a quantile transform to a normal distribution.

    With the quantile transform, every column is normal and a generator only models the dependence between columns.
    The transform is monotone, so decision trees are unaffected.

    Attributes:
        mean: mean of the training rows, after the quantile transform if there is one, float64 (D,).
        std: standard deviation of the training rows, float64 (D,); 1 for a constant column, which is scaled to 0.
        quantiles: values and normal quantiles of each column, float64 (2, Q); empty without quantile transform.
        columns: valid values of each column; None if unknown.

    Example:
        >>> scaler = RowScaler.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> scaler.transform(torch.tensor([[3.0, 5.0]]))
        tensor([[1., 0.]])
        >>> scaler.inverse_transform(torch.tensor([[0.9, 0.0]]))
        tensor([[3., 5.]], dtype=torch.float64)
    """

    mean: Tensor
    std: Tensor
    quantiles: tuple[Tensor, ...] = ()
    columns: ColumnConstraints | None = None

    @classmethod
    def fit(
        cls, rows: Tensor, quantile_transform: bool = False, one_hot_blocks: tuple[tuple[int, int], ...] = ()
    ) -> Self:
        """Compute the statistics of training rows.

        Args:
            rows: float (N, D) in the units of the table.
            quantile_transform: whether to apply the quantile transform before standardization.
            one_hot_blocks: first column and end (exclusive) of each one-hot block.
        """
        rows = rows.to("cpu", torch.float64)
        columns = ColumnConstraints.fit(rows, one_hot_blocks)
        quantiles = tuple(normal_quantiles(column) for column in rows.unbind(1)) if quantile_transform else ()
        values = _apply_quantiles(rows, quantiles)
        constant = rows.amin(dim=0) == rows.amax(dim=0)  # not std == 0, because the mean has rounding errors
        mean = torch.where(constant, values[0], values.mean(dim=0))
        return cls(mean, torch.where(constant, 1.0, values.std(dim=0, correction=0)), quantiles, columns)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the scaler from :meth:`state_dict`."""
        columns = state.get("columns")
        return cls(
            state["mean"],
            state["std"],
            tuple(state.get("quantiles", ())),
            None if columns is None else ColumnConstraints(**columns),
        )

    def transform(self, rows: Tensor) -> Tensor:
        """Return scaled rows, float32 (N, D).

        The mean is subtracted in float64, so that large numbers, such as timestamps, keep their differences.
        """
        values = _apply_quantiles(rows.to("cpu", torch.float64), self.quantiles)
        return ((values - self.mean) / self.std).to(torch.float32)

    def inverse_transform(self, rows: Tensor, valid: bool = True) -> Tensor:
        """Return scaled rows (N, D) in the units of the table, float64.

        Args:
            rows: scaled rows.
            valid: whether to project the rows onto valid values, see :meth:`ColumnConstraints.project`.
        """
        values = rows.to("cpu", torch.float64) * self.std + self.mean
        values = _apply_quantiles(values, tuple(quantiles.flip(0) for quantiles in self.quantiles))
        return self.columns.project(values) if valid and self.columns is not None else values

    def equals(self, other: RowScaler) -> bool:
        """Whether both scalers return equal rows."""
        if len(self.quantiles) != len(other.quantiles):
            return False
        pairs = zip((self.mean, self.std, *self.quantiles), (other.mean, other.std, *other.quantiles), strict=True)
        return all(torch.equal(one, two) for one, two in pairs)

    def state_dict(self) -> dict[str, Any]:
        """Return the fields by name, for a checkpoint."""
        return {**self._asdict(), "columns": self.columns and self.columns._asdict()}


def _apply_quantiles(rows: Tensor, quantiles: tuple[Tensor, ...]) -> Tensor:
    """Apply the quantile transform of each column, if any."""
    if not quantiles:
        return rows
    columns = zip(rows.unbind(1), quantiles, strict=True)
    return torch.stack([interpolate(column, xp, fp) for column, (xp, fp) in columns], dim=1)
