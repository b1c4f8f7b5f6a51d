from __future__ import annotations

import pytest
import torch

from ganmc_lightning.metrics.functional.nearest_neighbors import (
    center,
    kth_neighbor_squared,
    nearest_neighbor,
    squared_distances,
    with_norms,
)


def test_distances_by_hand():
    rows, others = torch.tensor([[0.0, 0.0], [3.0, 4.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    assert squared_distances(with_norms(rows), with_norms(others)).tolist() == [[1.0], [18.0]]


@pytest.mark.parametrize("block_rows", [1, 3, 7, 50, 1000])
@pytest.mark.parametrize("k", [1, 4])
def test_kth_neighbor(make_rows, k, block_rows):
    rows = make_rows(50, 0).double()
    expected = torch.cdist(rows, rows).sort(dim=1).values[:, k].square()
    assert torch.allclose(kth_neighbor_squared(with_norms(rows), k, block_rows), expected, rtol=1e-9, atol=1e-9)


def test_kth_neighbor_on_a_line():
    rows = torch.tensor([[0.0], [1.0], [3.0], [7.0]]).double()
    assert kth_neighbor_squared(with_norms(rows), 2).tolist() == [9.0, 4.0, 9.0, 36.0]


@pytest.mark.parametrize("block_rows", [1, 3, 1000])
def test_nearest(make_rows, block_rows):
    rows, others = make_rows(20, 0).double(), make_rows(30, 1).double()
    expected = torch.cdist(rows, others).min(dim=1)
    distances, indices = nearest_neighbor(with_norms(rows), with_norms(others), block_rows)
    assert torch.allclose(distances.sqrt(), expected.values, rtol=1e-9, atol=1e-9)
    assert torch.equal(indices, expected.indices)


def test_first_of_equals():
    rows = torch.zeros(1, 2).double()
    assert nearest_neighbor(with_norms(rows), with_norms(torch.ones(5, 2)), block_rows=2)[1].item() == 0


def test_centering_keeps_digits():
    """Far from the origin, squared norms are much larger than distances."""
    rows = torch.tensor([[1e8], [1e8 + 1], [1e8 + 3]], dtype=torch.float64)
    (centered,), tolerance = center(rows)
    assert squared_distances(centered, centered)[0].tolist() == pytest.approx([0, 1, 9], rel=1e-6, abs=1e-6)
    assert 0 < tolerance < 1e-10
