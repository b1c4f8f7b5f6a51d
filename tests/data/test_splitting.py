from __future__ import annotations

import pytest
import torch

from ganmc_lightning.data.splitting import stratified_subset

LABELS = torch.tensor([0] * 3 + [1] * 40 + [2] * 157)[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
CHOICE = torch.arange(0, 200)[torch.rand(200, generator=torch.Generator().manual_seed(3)) < 0.9]


@pytest.mark.parametrize("size", [3, 4, 5, 17, 60, 120, len(CHOICE) - 1, len(CHOICE)])
def test_size_shares_and_origin(size: int) -> None:
    chosen = stratified_subset(LABELS, CHOICE, size, seed=0)
    assert len(chosen) == size
    assert torch.equal(chosen, chosen.unique())  # sorted, none twice
    assert set(chosen.tolist()) <= set(CHOICE.tolist())
    counts, due = LABELS[chosen].bincount(minlength=3), LABELS[CHOICE].bincount() * size / len(CHOICE)
    assert (counts >= 1).all()
    assert (counts - due).abs().max() <= 3  # one a class, then the share, rounded down and made up


def test_seed_decides() -> None:
    one = stratified_subset(LABELS, CHOICE, 50, seed=0)
    assert torch.equal(one, stratified_subset(LABELS, CHOICE, 50, seed=0))
    assert not torch.equal(one, stratified_subset(LABELS, CHOICE, 50, seed=1))
