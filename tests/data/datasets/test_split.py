from __future__ import annotations

import torch

from ganmc_lightning.data.splits import _shuffle_by_class, stratified_split

LABELS = torch.tensor([2] * 50 + [0] * 30 + [1] * 21)


def test_parts_are_disjoint_complete_and_sorted() -> None:
    kept, cut = stratified_split(LABELS, 0.2, seed=3)
    assert torch.equal(torch.cat([kept, cut]).sort().values, torch.arange(101))
    assert torch.equal(kept, kept.sort().values)
    assert torch.equal(cut, cut.sort().values)


def test_each_class_gives_its_rounded_share() -> None:
    _, cut = stratified_split(LABELS, 0.2, seed=3)
    assert LABELS[cut].bincount().tolist() == [6, 4, 10]


def test_small_classes_give_one_and_keep_one() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    for fraction in (0.01, 0.99):
        kept, cut = stratified_split(labels, fraction, seed=0)
        assert labels[kept].unique().tolist() == [0, 1, 2]
        assert labels[cut].unique().tolist() == [0, 1]


def test_seed_decides() -> None:
    same = [stratified_split(LABELS, 0.2, seed=5)[1] for _ in range(2)]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], stratified_split(LABELS, 0.2, seed=6)[1])


def test_global_random_state_is_unchanged() -> None:
    before = torch.get_rng_state()
    _shuffle_by_class(LABELS, seed=0)
    assert torch.equal(before, torch.get_rng_state())
