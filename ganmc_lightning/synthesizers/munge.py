"""MUNGE: real rows whose values move towards their nearest neighbors'."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted
from ganmc_lightning.synthesizers.neighbors import Columns, balanced_indices, check_rows, group_columns, nearest_rows


class SwapSchedule(NamedTuple):
    """Which rows each row exchanges values with in one pass, the last first.

    Attributes:
        first: where the partners of a row begin, int64 (N + 1,).
        partner: row numbers, int64 (2 N,).
    """

    first: Tensor
    partner: Tensor


class MungeSynthesizer(Synthesizer):
    """MUNGE (Bucila, Caruana, Niculescu-Mizil 2006, section 3.2), the rival GAN-MC's final version compares with.

    Each pass over the real rows visits them one by one; with probability p, each value of a row and that of its
    nearest neighbor change places, a continuous one with noise of standard deviation ``|difference| / s``.
    Neighbors and differences are those of the real rows, found once: what a row has already exchanged in the
    same pass is not looked up, so that every draw is one batch of tensor operations. Samples carry the class of
    the row they came from; each whole pass uses every row once.

    Args:
        probability: p, that a value is exchanged; 0.1 in the paper.
        shrinkage: s, which the noise is divided by; 1.5 in the paper.
        categorical: columns whose values are exchanged without noise; a one-hot encoded one as the list of its
            columns, which change together.

    Raises:
        ConfigurationError: ``probability`` lies outside (0, 1], or ``shrinkage`` is not positive.
    """

    def __init__(self, probability: float = 0.1, shrinkage: float = 1.5, categorical: Columns = ()) -> None:
        if not 0 < probability <= 1:
            raise ConfigurationError(f"MungeSynthesizer.probability must lie in (0, 1], got {probability}")
        if not shrinkage > 0:
            raise ConfigurationError(f"MungeSynthesizer.shrinkage must be positive, got {shrinkage}")
        self.probability = probability
        self.shrinkage = shrinkage
        self.categorical = categorical
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Keep the real rows and find their neighbors."""
        rows = check_rows("MungeSynthesizer", inputs)
        group, discrete = group_columns("MungeSynthesizer", self.categorical, rows.shape[1])
        self._group, self._discrete = group.to(rows.device), discrete.to(rows.device)
        self._encounters = swap_schedule(nearest_rows("MungeSynthesizer", rows, 1)[:, 0])
        self._real = (rows, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._real is None:
            raise not_fitted(self)
        rows, labels = self._real
        chosen = balanced_indices(len(rows), n, rows.device, generator)
        failures = _failures((n, int(self._group.max()) + 1), self.probability, rows.device, generator)
        noise = torch.randn(n, rows.shape[1], device=rows.device, generator=generator) / self.shrinkage
        noise[:, self._discrete] = 0
        return munge(rows, chosen, self._encounters, failures[:, self._group], noise), labels[chosen]


def swap_schedule(nearest: Tensor) -> SwapSchedule:
    """List each row's exchanges in a pass that visits row 0, 1, 2, ... and its nearest neighbor.

    Args:
        nearest: int64 (N,), the neighbor of each row.

    Returns:
        For each row, those it meets: its own neighbor when it is visited, and every visited row that it is the
        neighbor of; the latest visit first.

    Example:
        >>> swap_schedule(torch.tensor([1, 2, 1]))  # row 1 meets row 0, then 2 on its own visit, then 2 on that one's
        SwapSchedule(first=tensor([0, 1, 4, 6]), partner=tensor([1, 2, 2, 0, 1, 1]))
    """
    rows = torch.arange(len(nearest), device=nearest.device)
    met, partner, visit = torch.cat([rows, nearest]), torch.cat([nearest, rows]), rows.repeat(2)
    order = torch.argsort(met * len(rows) - visit)
    counts = torch.bincount(met, minlength=len(rows))
    return SwapSchedule(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), partner[order])


def munge(rows: Tensor, chosen: Tensor, met: SwapSchedule, failures: Tensor, noise: Tensor) -> Tensor:
    """Give each value the partner of the last exchange that took place, if any did.

    Exchanges succeed independently with probability p, so that the number of those that fail, counted from the
    last, is geometric; a value keeps its own when all of them fail.

    Args:
        rows: real rows (N, D).
        chosen: which to change, int64 (n,).
        met: their possible exchanges.
        failures: exchanges that fail before the first success, counted from the last, int64 (n, D).
        noise: in units of the difference to the partner, (n, D); 0 takes the partner's value.

    Returns:
        New rows (n, D).
    """
    first, end = met.first[chosen, None], met.first[chosen + 1, None]
    happened = failures < end - first
    partner = met.partner[torch.where(happened, first + failures, 0)]
    own = rows[chosen]
    others = rows.gather(0, partner)
    return torch.where(happened, others + (own - others).abs() * noise, own)


def _failures(
    shape: tuple[int, int], probability: float, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Numbers of failures before a success, int64, up to a million."""
    if probability == 1:
        return torch.zeros(shape, dtype=torch.int64, device=device)
    uniform = 1 - torch.rand(shape, device=device, generator=generator, dtype=torch.float64)  # in (0, 1]
    return (uniform.log() / torch.tensor(1 - probability, dtype=torch.float64).log()).clamp_(max=1e6).to(torch.int64)
