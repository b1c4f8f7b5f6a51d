from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare, kstest

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import SmoteSynthesizer


def seeded(seed):
    return torch.Generator().manual_seed(seed)


ROWS = torch.randn(60, 4, generator=seeded(0))
LABELS = torch.tensor([0] * 40 + [1] * 20)


def fitted(rows=ROWS, labels=LABELS, **arguments):
    synthesizer = SmoteSynthesizer(**arguments)
    synthesizer.fit(rows, labels, DataSpec((rows.shape[1],), 2))
    return synthesizer


def neighbors_by_hand(k):
    """Sets of the k nearest rows of the same class, from all distances."""
    distances = torch.cdist(ROWS.double(), ROWS.double())
    distances[LABELS[:, None] != LABELS[None]] = torch.inf
    distances.fill_diagonal_(torch.inf)
    return distances.argsort(dim=1)[:, :k]


def test_samples_lie_between_a_row_and_a_neighbor_of_its_class():
    samples, labels = fitted(k_neighbors=3).sample(60 * 50, seeded(0))
    own, others = ROWS.repeat(50, 1), ROWS[neighbors_by_hand(3)].repeat(50, 1, 1)
    assert torch.equal(labels, LABELS.repeat(50))
    step = others - own[:, None]
    place = (((samples - own)[:, None] * step).sum(2) / step.square().sum(2)).clamp(0, 1)
    distance = (own[:, None] + place[..., None] * step - samples[:, None]).norm(dim=2)
    nearest, which = distance.min(dim=1)
    assert nearest.max() < 1e-5
    assert chisquare(which.bincount(minlength=3)).pvalue > 0.01
    assert kstest(place.gather(1, which[:, None]).flatten(), "uniform").pvalue > 0.01


def test_categories_come_from_one_of_the_two_rows():
    levels = torch.randint(0, 3, (60,), generator=seeded(1))
    rows = torch.cat([20 * ROWS[:, :1], torch.eye(3)[levels]], dim=1)
    samples, _ = fitted(rows, categorical_features=[[1, 2, 3]]).sample(60 * 20, seeded(0))
    assert set(samples[:, 1:].sum(dim=1).tolist()) == {1.0}
    assert set(samples[:, 1:].unique().tolist()) == {0.0, 1.0}
    assert 0.1 < (samples[:, 1:] != rows.repeat(20, 1)[:, 1:]).any(dim=1).float().mean() < 0.6
    assert torch.unique(samples[:, 0]).numel() > 1000


def test_seeds_and_the_real_rows():
    before = ROWS.clone()
    synthesizer = fitted()
    first, again, other = (synthesizer.sample(40, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(ROWS, before)


def test_mean_and_variance_of_each_class():
    """With all rows as neighbors, a sample is a uniform point between two rows: 2/3 of their variance."""
    rows, labels = torch.randn(1000, 10, generator=seeded(0)), torch.arange(1000) % 2
    samples, drawn = fitted(rows, labels, k_neighbors=499).sample(9 * 1000, seeded(0))
    assert torch.equal(drawn, labels.repeat(9))
    for label in (0, 1):
        own, mixed = rows[labels == label], samples[drawn == label]
        torch.testing.assert_close(mixed.mean(dim=0), own.mean(dim=0), rtol=0, atol=0.05)
        torch.testing.assert_close(mixed.var(dim=0), own.var(dim=0) * 2 / 3, rtol=0.1, atol=0)


def test_a_class_with_too_few_rows_is_named():
    with pytest.raises(ConfigurationError, match="class 1: got 20 rows, expected more than 20"):
        fitted(k_neighbors=20)


def test_no_neighbors():
    with pytest.raises(ConfigurationError, match=r"SmoteSynthesizer\.k_neighbors: got 0, expected at least 1"):
        SmoteSynthesizer(0)


def test_images():
    with pytest.raises(ConfigurationError, match="SmoteSynthesizer: got samples of shape"):
        fitted(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1]))


def test_not_fitted():
    with pytest.raises(ConfigurationError, match="SmoteSynthesizer: not fitted"):
        SmoteSynthesizer().sample(1)
