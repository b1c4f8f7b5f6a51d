"""MUNGE: exchange values between real rows and their nearest neighbors."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error
from ganmc_lightning.synthesizers.neighbors import (
    CategoricalFeatures,
    balanced_indices,
    check_real_rows,
    group_features,
    nearest_rows,
)


class SwapSchedule(NamedTuple):
    """Rows that each row may exchange values with in one pass (partners), the last first.

    Attributes:
        first: index of the first partner of each row in ``partners``, int64 (N + 1,).
        partners: row indices, int64 (2 N,).
    """

    first: Tensor
    partners: Tensor


class MungeSynthesizer(Synthesizer):
    """MUNGE (Bucila, Caruana, Niculescu-Mizil 2006, section 3.2), a baseline in GAN-MC.

    A pass visits the real rows one by one. With probability p, a value is exchanged with the nearest neighbor's value;
    Gaussian noise of standard deviation ``|difference| / s`` is added to continuous values. Simplification: neighbors
    and differences are computed from the real rows, not from rows that the pass has changed, so that a draw is one
    batch of tensor operations. Samples have the class of their row; every complete pass uses each row once. Of more
    than 50,000 rows, neighbors are searched in random parts of at most 50,000 rows.

    Args:
        swap_probability: p, probability that a value is exchanged, in (0, 1] (default: 0.1, as in the paper).
        local_variance: s, divisor of the noise, positive (default: 1.5, as in the paper).
        categorical_features: columns whose values are exchanged without noise. A one-hot block is the list of its
            columns, which are exchanged together.

    Raises:
        ConfigurationError: an argument is out of range.

    Example:
        >>> synthesizer = MungeSynthesizer(swap_probability=1.0, categorical_features=[0, 1])
        >>> rows = torch.tensor([[0.0, 1.0], [0.0, 2.0], [9.0, 1.0], [9.0, 2.0]])
        >>> synthesizer.fit(rows, torch.tensor([0, 0, 1, 1]), DataSpec((2,), 2))
        >>> synthesizer.sample(4)[0].tolist()
        [[0.0, 2.0], [0.0, 1.0], [9.0, 2.0], [9.0, 1.0]]
    """

    def __init__(
        self,
        swap_probability: float = 0.1,
        local_variance: float = 1.5,
        categorical_features: CategoricalFeatures = (),
    ) -> None:
        if not 0 < swap_probability <= 1:
            raise ConfigurationError(
                f"MungeSynthesizer.swap_probability: got {swap_probability}, expected a value in (0, 1]"
            )
        if not local_variance > 0:
            raise ConfigurationError(
                f"MungeSynthesizer.local_variance: got {local_variance}, expected a positive value"
            )
        self.swap_probability = swap_probability
        self.local_variance = local_variance
        self.categorical_features = categorical_features
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Store the real rows and find their nearest neighbors."""
        rows = check_real_rows("MungeSynthesizer", inputs)
        self._group, self._discrete = group_features("MungeSynthesizer", self.categorical_features, rows)
        self._groups = int(self._group.max()) + 1  # here, because sampling does not read values on the host
        self._schedule = swap_schedule(nearest_rows("MungeSynthesizer", rows, 1)[:, 0])
        self._real = (rows, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` rows; see :meth:`Synthesizer.sample`."""
        if self._real is None:
            raise not_fitted_error(self)
        rows, labels = self._real
        chosen = balanced_indices(len(rows), n, rows.device, generator)
        failures = _failures((n, self._groups), self.swap_probability, rows.device, generator)
        noise = torch.randn(n, rows.shape[1], device=rows.device, generator=generator) / self.local_variance
        noise = noise.masked_fill(self._discrete, 0)
        return munge(rows, chosen, self._schedule, failures[:, self._group], noise), labels[chosen]


def swap_schedule(nearest: Tensor) -> SwapSchedule:
    """List the exchanges of each row in a pass over rows 0, 1, 2, ... and their nearest neighbors.

    Args:
        nearest: int64 (N,), the nearest neighbor of each row.

    Returns:
        Partners of each row, the latest visit first: its nearest neighbor, when the row is visited, and every visited
        row that has it as nearest neighbor.

    Example:
        >>> swap_schedule(torch.tensor([1, 2, 1]))  # row 1: row 0, then row 2 on both of their visits
        SwapSchedule(first=tensor([0, 1, 4, 6]), partners=tensor([1, 2, 2, 0, 1, 1]))
    """
    rows = torch.arange(len(nearest), device=nearest.device)
    own, partners, visit = torch.cat([rows, nearest]), torch.cat([nearest, rows]), rows.repeat(2)
    order = torch.argsort(own * len(rows) - visit)
    counts = torch.bincount(own, minlength=len(rows))
    return SwapSchedule(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), partners[order])


def munge(rows: Tensor, chosen: Tensor, schedule: SwapSchedule, failures: Tensor, noise: Tensor) -> Tensor:
    """Replace each value by the value of the partner in its last successful exchange, if any.

    Exchanges succeed independently with probability p, so the number of failed exchanges after the last success has a
    geometric distribution. A value is unchanged if all exchanges fail.

    Args:
        rows: real rows (N, D).
        chosen: indices of the rows to change, int64 (n,).
        schedule: possible exchanges of all rows.
        failures: number of failed exchanges, counted from the last, before the first success, int64 (n, D).
        noise: noise in units of the difference to the partner, (n, D); 0 copies the partner's value.

    Returns:
        New rows (n, D).
    """
    first, end = schedule.first[chosen, None], schedule.first[chosen + 1, None]
    swapped = failures < end - first
    partners = schedule.partners[torch.where(swapped, first + failures, 0)]
    own = rows[chosen]
    others = rows.gather(0, partners)
    return torch.where(swapped, others + (own - others).abs() * noise, own)


def _failures(
    shape: tuple[int, int], probability: float, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Draw numbers of failures before a success, int64, at most a million."""
    if probability == 1:
        return torch.zeros(shape, dtype=torch.int64, device=device)
    uniform = 1 - torch.rand(shape, device=device, generator=generator, dtype=torch.float64)  # in (0, 1]
    return (uniform.log() / math.log(1 - probability)).clamp_(max=1e6).to(torch.int64)
