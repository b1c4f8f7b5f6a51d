"""Distances between sets of features, block by block: no matrix of all pairs is ever held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 1024
SLACK = 1e-12
"""Squared distances closer than this share of the largest squared norm count as equal; rounding is a hundredth."""


class Points(NamedTuple):
    """Rows and what their distances need again and again.

    Attributes:
        rows: float64 (N, D).
        norms: float64 (N,), their squared lengths.
    """

    rows: Tensor
    norms: Tensor

    def part(self, place: slice) -> Points:
        """Those at ``place``."""
        return Points(self.rows[place], self.norms[place])


def points(rows: Tensor) -> Points:
    """Rows (N, D) of any precision as :class:`Points`."""
    rows = rows.double()
    return Points(rows, rows.square().sum(dim=1))


def centered(*sets: Tensor) -> tuple[tuple[Points, ...], float]:
    """Sets of rows without their common mean, which spares digits, and the slack of their squared distances."""
    rows = [part.double() for part in sets]
    mean = torch.stack([part.sum(dim=0) for part in rows]).sum(dim=0) / max(sum(map(len, rows)), 1)
    moved = tuple(points(part - mean) for part in rows)
    return moved, SLACK * max((part.norms.max().item() for part in moved if len(part.norms)), default=0.0)


def places(count: int, chunk: int) -> Iterator[slice]:
    """Consecutive blocks of ``chunk`` rows."""
    return (slice(start, start + chunk) for start in range(0, count, chunk))


def squared_distances(one: Points, other: Points) -> Tensor:
    """Squared Euclidean distances (N, M); rounding may leave tiny negative ones."""
    return torch.addmm(other.norms, one.rows, other.rows.T, alpha=-2).add_(one.norms[:, None])


def kth_neighbor_squared(own: Points, k: int, chunk: int = CHUNK) -> Tensor:
    """Squared distance (N,) of each row to its ``k``-th nearest other row; each pair is computed once.

    Args:
        own: N rows, N > k.
        k: 1 for the nearest.
        chunk: rows of a block.
    """
    best = own.norms.new_full((len(own.norms), k + 1), torch.inf)  # itself among them

    def improve(place: slice, block: Tensor) -> None:
        found = block.topk(min(k + 1, block.shape[1]), dim=1, largest=False).values
        best[place] = torch.cat([best[place], found], dim=1).topk(k + 1, dim=1, largest=False).values

    for place in places(len(best), chunk):
        for other in places(len(best), chunk):
            if other.start < place.start:
                continue
            block = squared_distances(own.part(place), own.part(other))
            improve(place, block)
            if other.start > place.start:
                improve(other, block.T)
    return best.amax(dim=1)


def nearest(one: Points, others: Points, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """Squared distance float64 (N,) of each row to the nearest of ``others``, and the index (N,) of that one."""
    count = len(one.norms)
    best = one.norms.new_full((count,), torch.inf)
    where = torch.zeros(count, dtype=torch.long, device=best.device)
    for place in places(count, chunk):
        part = one.part(place)
        for other in places(len(others.norms), chunk):
            # The row's own norm does not change which is nearest, and is added at the end.
            block = torch.addmm(others.norms[other], part.rows, others.rows[other].T, alpha=-2)
            found = block.min(dim=1)
            closer = found.values < best[place]
            best[place] = torch.where(closer, found.values, best[place])
            where[place] = torch.where(closer, found.indices + other.start, where[place])
    return (best + one.norms).clamp(min=0), where
