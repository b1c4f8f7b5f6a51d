from __future__ import annotations

import pytest
import torch

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.splits import normalize_weights, stratified_subset
from ganmc_lightning.exceptions import ConfigurationError

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


def weighted(weights: list[float]) -> TensorDataset:
    count = len(weights)
    return TensorDataset(torch.arange(float(count))[:, None], torch.arange(count) % 2, torch.tensor(weights))


def test_training_weights_are_1_on_average_and_scores_have_none() -> None:
    parts = normalize_weights({"train": weighted([1.0, 2.0, 0.0, 5.0]), "val": weighted([7.0, 8.0])}, "mine")
    train, val = parts["train"], parts["val"]
    assert isinstance(train, TensorDataset)
    assert isinstance(val, TensorDataset)
    assert train.weights is not None
    assert train.weights.tolist() == [0.5, 1.0, 0.0, 2.5]
    assert train.inputs.flatten().tolist() == [0, 1, 2, 3]
    assert val.weights is None
    assert val.labels.tolist() == [0, 1]


def test_training_rows_without_weight() -> None:
    with pytest.raises(ConfigurationError, match="mine: the weight of every training sample is 0"):
        normalize_weights({"train": weighted([0.0, 0.0])}, "mine")
