"""What the columns of a table can hold, so that generated rows can be made into rows of that table."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

MAX_LEVELS = 20
"""Most different values of a column that is taken to have no others."""


class Columns(NamedTuple):
    """The kinds of columns of a table, learned from its training rows.

    A generator answers with real numbers; :meth:`legal` makes them into what the column can hold. A column is,
    in this order of precedence:

    * part of a **category**: one of a block of 0/1 columns, exactly one of which is 1;
    * **discrete**: it has at most :data:`MAX_LEVELS` different values, as true/false columns and small counts have;
    * **integer**: all its values are whole numbers;
    * **continuous**.

    Attributes:
        low: least value of each column, float64 (D,).
        high: greatest value, float64 (D,).
        whole: whether all values are whole numbers, bool (D,).
        levels: the different values of each discrete column, float64, ascending; empty for the others.
        categories: first and last + 1 column of each one-hot block.
    """

    low: Tensor
    high: Tensor
    whole: Tensor
    levels: tuple[Tensor, ...]
    categories: tuple[tuple[int, int], ...] = ()

    @classmethod
    def fit(cls, rows: Tensor, categories: tuple[tuple[int, int], ...] = ()) -> Self:
        """Look at training rows, float (N, D), in their own units.

        Args:
            rows: at least one, all finite.
            categories: the one-hot blocks, which numbers alone do not show.
        """
        rows = rows.to("cpu", torch.float64)
        distinct = [torch.unique(column) for column in rows.unbind(1)]
        none = rows.new_empty(0)
        return cls(
            rows.amin(dim=0),
            rows.amax(dim=0),
            (rows == rows.round()).all(dim=0),
            tuple(values if len(values) <= MAX_LEVELS else none for values in distinct),
            tuple((int(start), int(stop)) for start, stop in categories),
        )

    def legal(self, rows: Tensor) -> Tensor:
        """Return the nearest rows that the table could hold.

        The greatest number of a category's block becomes 1 and the others 0; a discrete column takes the nearest of its
        values; an integer column is rounded; all stay within the range of the training rows.

        Args:
            rows: float (N, D), in the units of the table.

        Returns:
            Rows of the same shape and dtype, on the CPU.

        Example:
            >>> table = Columns.fit(torch.tensor([[0.5, 1.0, 0.0], [0.7, 0.0, 1.0]]), categories=((1, 3),))
            >>> table.legal(torch.tensor([[9.0, 0.4, 0.3]])).tolist()
            [[0.699..., 1.0, 0.0]]
        """
        values = rows.to("cpu", torch.float64).clamp(self.low, self.high)
        values = torch.where(self.whole, values.round(), values)
        for column, levels in enumerate(self.levels):
            if len(levels):
                halfway = (levels[1:] + levels[:-1]) / 2
                values[:, column] = levels[torch.bucketize(values[:, column].contiguous(), halfway)]
        for start, stop in self.categories:
            chosen = rows[:, start:stop].to("cpu").argmax(dim=1, keepdim=True)
            values[:, start:stop] = torch.zeros_like(values[:, start:stop]).scatter_(1, chosen, 1.0)
        return values.to(rows.dtype)

    def equals(self, other: Columns) -> bool:
        """Whether both describe the same table."""
        tensors = zip((*self[:3], *self.levels), (*other[:3], *other.levels), strict=True)
        return self.categories == other.categories and all(torch.equal(own, its) for own, its in tensors)
