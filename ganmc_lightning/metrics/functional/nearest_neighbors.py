"""Nearest neighbors and distances of features, computed in blocks so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK_ROWS = 1024
TOLERANCE = 1e-12
"""Squared distances that differ by less than this fraction of the largest squared norm count as equal. Rounding errors
are about a hundred times smaller."""


class RowsWithNorms(NamedTuple):
    """Rows and their squared norms, which every block of distances uses.

    Attributes:
        rows: float64 (N, D).
        norms: float64 (N,), squared Euclidean norms.
    """

    rows: Tensor
    norms: Tensor

    def block(self, rows: slice) -> RowsWithNorms:
        """Return a block of rows."""
        return RowsWithNorms(self.rows[rows], self.norms[rows])


def with_norms(rows: Tensor) -> RowsWithNorms:
    """Convert rows (N, D) to float64 and compute their squared norms."""
    rows = rows.double()
    return RowsWithNorms(rows, rows.square().sum(dim=1))


def center(*sets: Tensor) -> tuple[tuple[RowsWithNorms, ...], float]:
    """Subtract the common mean from sets of rows (N, D), which reduces rounding errors.

    Returns:
        The centered sets in float64, and the tolerance of their squared distances.
    """
    rows = [each.double() for each in sets]
    mean = torch.stack([each.sum(dim=0) for each in rows]).sum(dim=0) / max(sum(map(len, rows)), 1)
    centered = tuple(with_norms(each - mean) for each in rows)
    return centered, TOLERANCE * max((each.norms.max().item() for each in centered if len(each.norms)), default=0.0)


def row_blocks(count: int, block_rows: int) -> Iterator[slice]:
    """Yield consecutive slices of ``block_rows`` rows."""
    return (slice(start, start + block_rows) for start in range(0, count, block_rows))


def squared_distances(one: RowsWithNorms, other: RowsWithNorms) -> Tensor:
    """Return squared Euclidean distances (N, M); rounding may make them slightly negative."""
    return torch.addmm(other.norms, one.rows, other.rows.T, alpha=-2).add_(one.norms[:, None])


def kth_neighbor_squared(own: RowsWithNorms, k: int, block_rows: int = BLOCK_ROWS) -> Tensor:
    """Return the squared distance (N,) of each row to its ``k``-th nearest other row.

    Args:
        own: N rows, N > k.
        k: index of the neighbor, 1 for the nearest.
        block_rows: rows per block.
    """
    best = own.norms.new_full((len(own.norms), k + 1), torch.inf)  # k + 1, because each row is also its own neighbor

    def update(block: slice, distances: Tensor) -> None:
        nearest = distances.topk(min(k + 1, distances.shape[1]), dim=1, largest=False).values
        best[block] = torch.cat([best[block], nearest], dim=1).topk(k + 1, dim=1, largest=False).values

    for block in row_blocks(len(best), block_rows):
        for other in row_blocks(len(best), block_rows):
            if other.start < block.start:  # the distances are symmetric: each pair of blocks is computed once
                continue
            distances = squared_distances(own.block(block), own.block(other))
            update(block, distances)
            if other.start > block.start:
                update(other, distances.T)
    return best.amax(dim=1)


def nearest_neighbor(
    queries: RowsWithNorms, others: RowsWithNorms, block_rows: int = BLOCK_ROWS
) -> tuple[Tensor, Tensor]:
    """Return the squared distance, float64 (N,), of each query to the nearest other row, and its index, int64 (N,)."""
    count = len(queries.norms)
    best = queries.norms.new_full((count,), torch.inf)
    indices = torch.zeros(count, dtype=torch.long, device=best.device)
    for block in row_blocks(count, block_rows):
        rows = queries.rows[block]
        for other in row_blocks(len(others.norms), block_rows):
            # without the query's norm: it does not affect the order and is added at the end
            nearest = torch.addmm(others.norms[other], rows, others.rows[other].T, alpha=-2).min(dim=1)
            closer = nearest.values < best[block]
            best[block] = torch.where(closer, nearest.values, best[block])
            indices[block] = torch.where(closer, nearest.indices + other.start, indices[block])
    return (best + queries.norms).clamp(min=0), indices
