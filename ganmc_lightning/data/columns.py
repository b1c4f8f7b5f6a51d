"""Types and ranges of table columns, and the projection of generated rows onto valid values."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

MAX_LEVELS = 20
"""A column with at most this many distinct values is discrete."""


class ColumnConstraints(NamedTuple):
    """Valid values of each column of a table, fitted to its training rows.

    A generator returns real numbers; :meth:`project` replaces them by the nearest valid values. The type of a column is
    the first of these that applies:

    * **one-hot**: part of a block of 0/1 columns, of which exactly one is 1;
    * **discrete**: at most :data:`MAX_LEVELS` distinct values, such as booleans and small counts;
    * **integer**: all values are integers;
    * **continuous**.

    Attributes:
        min: minimum of each column, float64 (D,).
        max: maximum of each column, float64 (D,).
        is_integer: whether all values are integers, bool (D,).
        levels: distinct values of each discrete column, float64, ascending; empty for other columns.
        one_hot_blocks: first column and end (exclusive) of each one-hot block.
    """

    min: Tensor
    max: Tensor
    is_integer: Tensor
    levels: tuple[Tensor, ...]
    one_hot_blocks: tuple[tuple[int, int], ...] = ()

    @classmethod
    def fit(cls, rows: Tensor, one_hot_blocks: tuple[tuple[int, int], ...] = ()) -> Self:
        """Compute the constraints of training rows.

        Args:
            rows: float (N, D) in the units of the table, N at least 1, all finite.
            one_hot_blocks: first column and end (exclusive) of each one-hot block.
        """
        rows = rows.to("cpu", torch.float64)
        distinct = [torch.unique(column) for column in rows.unbind(1)]
        none = rows.new_empty(0)
        return cls(
            rows.amin(dim=0),
            rows.amax(dim=0),
            (rows == rows.round()).all(dim=0),
            tuple(values if len(values) <= MAX_LEVELS else none for values in distinct),
            tuple((int(start), int(stop)) for start, stop in one_hot_blocks),
        )

    def project(self, rows: Tensor) -> Tensor:
        """Return the nearest valid rows, within the range of the training rows.

        The largest value of a one-hot block becomes 1, the others 0; a discrete column takes its nearest level; any
        other integer column is rounded.

        Args:
            rows: float (N, D) in the units of the table.

        Returns:
            Rows of equal shape and dtype, on the CPU.

        Example:
            >>> constraints = ColumnConstraints.fit(torch.tensor([[0.5, 1.0, 0.0], [0.75, 0.0, 1.0]]), ((1, 3),))
            >>> constraints.project(torch.tensor([[9.0, 0.4, 0.3]])).tolist()
            [[0.75, 1.0, 0.0]]
        """
        clamped = rows.to("cpu", torch.float64).clamp(self.min, self.max)
        values = torch.where(self.is_integer, clamped.round(), clamped)
        for column, levels in enumerate(self.levels):
            if len(levels):
                halfway = (levels[1:] + levels[:-1]) / 2
                values[:, column] = levels[torch.bucketize(clamped[:, column].contiguous(), halfway)]
        for start, stop in self.one_hot_blocks:
            largest = rows[:, start:stop].to("cpu").argmax(dim=1, keepdim=True)
            values[:, start:stop] = torch.zeros_like(values[:, start:stop]).scatter_(1, largest, 1.0)
        return values.to(rows.dtype)

    def equals(self, other: ColumnConstraints) -> bool:
        """Whether all constraints are equal."""
        tensors = zip((*self[:3], *self.levels), (*other[:3], *other.levels), strict=True)
        return self.one_hot_blocks == other.one_hot_blocks and all(torch.equal(one, two) for one, two in tensors)
