"""Rows as networks see them, with the statistics of the training samples, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ganmc_lightning.data.columns import Columns
from ganmc_lightning.data.quantile_transform import interpolate, normal_score_curve


class RowScaler(NamedTuple):
    """Z-scores of each column, of its values or of their normal scores.

    Normal scores take the skew and the tails out of every column, so that a generator has only to learn how the
    columns hang together. They are monotone: a tree grown on them splits the same rows.

    Attributes:
        mean: of the training samples, float64 (D,); of their normal scores where there are curves.
        std: likewise; 1 for a constant column, which becomes 0.
        curves: each column's values and normal scores, float64 (2, K); empty for plain z-scores.
        columns: what each column can hold; None for a scaler that was stored without.
    """

    mean: Tensor
    std: Tensor
    curves: tuple[Tensor, ...] = ()
    columns: Columns | None = None

    @classmethod
    def fit(cls, rows: Tensor, quantile_transform: bool = False, categories: tuple[tuple[int, int], ...] = ()) -> Self:
        """Take the statistics of training rows.

        Args:
            rows: float (N, D), in their own units.
            quantile_transform: go by normal scores, not by values.
            categories: first and last + 1 column of each one-hot block.
        """
        rows = rows.to("cpu", torch.float64)
        columns = Columns.fit(rows, categories)
        curves = tuple(normal_score_curve(column) for column in rows.unbind(1)) if quantile_transform else ()
        seen = _along(rows, curves)
        constant = rows.amin(dim=0) == rows.amax(dim=0)  # the sums of its values may be off by a rounding
        mean = torch.where(constant, seen[0], seen.mean(dim=0))
        return cls(mean, torch.where(constant, 1.0, seen.std(dim=0, correction=0)), curves, columns)

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the scaler that :meth:`state_dict` describes."""
        columns = state.get("columns")
        return cls(
            state["mean"], state["std"], tuple(state.get("curves", ())), None if columns is None else Columns(**columns)
        )

    def transform(self, rows: Tensor) -> Tensor:
        """Return what networks see of rows (N, D), float32.

        Rows are centered in float64, so that columns of large numbers, such as timestamps, keep their differences.
        """
        seen = _along(rows.to("cpu", torch.float64), self.curves)
        return ((seen - self.mean) / self.std).to(torch.float32)

    def inverse(self, rows: Tensor) -> Tensor:
        """Return rows in their own units, float64: :meth:`transform` undone, whatever the columns can hold."""
        seen = rows.to("cpu", torch.float64) * self.std + self.mean
        return _along(seen, tuple(curve.flip(0) for curve in self.curves))

    def decode(self, rows: Tensor) -> Tensor:
        """Return generated rows in their own units, made legal by :meth:`Columns.legal`, float64."""
        rows = self.inverse(rows)
        return rows if self.columns is None else self.columns.legal(rows)

    def equals(self, other: RowScaler) -> bool:
        """Whether both transform alike."""
        if len(self.curves) != len(other.curves):
            return False
        pairs = zip((self.mean, self.std, *self.curves), (other.mean, other.std, *other.curves), strict=True)
        return all(torch.equal(own, its) for own, its in pairs)

    def state_dict(self) -> dict[str, Any]:
        """The statistics by name, to be stored in a checkpoint."""
        return {**self._asdict(), "columns": self.columns and self.columns._asdict()}


def _along(rows: Tensor, curves: tuple[Tensor, ...]) -> Tensor:
    """Send each column through its curve; no curves leave them as they are."""
    if not curves:
        return rows
    columns = zip(rows.unbind(1), curves, strict=True)
    return torch.stack([interpolate(column, curve[0], curve[1]) for column, curve in columns], dim=1)
