from __future__ import annotations

import pytest
import torch

from ganmc_lightning.synthesizers import neighbors
from ganmc_lightning.synthesizers.neighbors import nearest_rows


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def nearest_by_hand(rows, k):
    distances = torch.cdist(rows.double(), rows.double()).fill_diagonal_(torch.inf)
    return distances.argsort(dim=1)[:, :k]


@pytest.mark.parametrize("columns", [3, 20])
def test_neighbors_are_exact_up_to_the_size_of_a_part(columns, monkeypatch):
    rows = torch.randn(90, columns, generator=seeded(0))
    monkeypatch.setattr(neighbors, "PART_ROWS", 90)
    assert nearest_rows("demo", rows, 4).equal(nearest_by_hand(rows, 4))


@pytest.mark.parametrize("columns", [3, 20])
def test_neighbors_of_more_rows_are_those_of_a_random_part(columns, monkeypatch):
    rows = torch.randn(90, columns, generator=seeded(0))
    monkeypatch.setattr(neighbors, "PART_ROWS", 40)
    found = nearest_rows("demo", rows, 4)
    assert found.equal(nearest_rows("demo", rows, 4))
    parts = neighbors._parts(90, 40)
    assert [len(part) for part in parts] == [30, 30, 30]
    assert sorted(index for part in parts for index in part.tolist()) == list(range(90))
    for part in map(torch.from_numpy, parts):
        assert part.max() - part.min() > 60  # not consecutive rows, which may be sorted
        assert found[part].equal(part[nearest_by_hand(rows[part], 4)])


def test_a_part_has_more_rows_than_neighbors(monkeypatch):
    monkeypatch.setattr(neighbors, "PART_ROWS", 5)
    rows = torch.randn(43, 2, generator=seeded(0))
    found = nearest_rows("demo", rows, 20)
    assert (found != torch.arange(43)[:, None]).all()
    assert all(len(row.unique()) == 20 for row in found)
