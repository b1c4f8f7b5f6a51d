"""Z-scores of rows, with the statistics of the training samples."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor


class Scaler(NamedTuple):
    """Per-column mean and standard deviation, float64 (D,).

    Attributes:
        mean: of the training samples.
        std: of the training samples; 1 for a constant column, which becomes 0.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, rows: Tensor) -> Self:
        """Take the statistics of float rows (N, D)."""
        rows = rows.to(torch.float64)
        std = rows.std(dim=0, correction=0)
        return cls(rows.mean(dim=0), torch.where(std > 0, std, 1.0))

    def transform(self, rows: Tensor) -> Tensor:
        """Return the z-scores of rows (N, D), float32."""
        return ((rows.to("cpu", torch.float64) - self.mean) / self.std).to(torch.float32)

    def inverse(self, rows: Tensor) -> Tensor:
        """Return rows in their own units, float32."""
        return (rows.to("cpu", torch.float64) * self.std + self.mean).to(torch.float32)

    def equals(self, other: Scaler) -> bool:
        """Whether both have the same statistics."""
        return torch.equal(self.mean, other.mean) and torch.equal(self.std, other.std)

    def state_dict(self) -> dict[str, Tensor]:
        """The statistics by name, to be stored in a checkpoint."""
        return self._asdict()
