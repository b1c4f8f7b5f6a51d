from __future__ import annotations

import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import NearDuplicates, compute_reference_statistics, near_duplicates


@pytest.fixture(scope="module")
def sets(make_rows):
    """Training, held-out and new rows of one distribution."""
    return make_rows(600, 0), make_rows(400, 1), make_rows(300, 2)


def test_honest_samples_have_the_share_of_held_out_ones(sets):
    training, held_out, honest = sets
    value = near_duplicates(honest, training, held_out)
    assert value.held_out_rate.item() == pytest.approx(0.01, abs=0.003)
    assert value.rate.item() < 0.05
    assert value.threshold > 0


@pytest.mark.parametrize("blur", [0.0, 1e-3])
def test_planted_copies_are_found(sets, blur):
    training, held_out, honest = sets
    noise = blur * torch.randn(90, 6, generator=torch.Generator().manual_seed(3))
    candidates = torch.cat([honest[:210], training[100:190] + noise])
    value = near_duplicates(candidates, training, held_out)
    honest_share = near_duplicates(honest[:210], training, held_out).rate.item()
    assert value.rate.item() == pytest.approx(0.3 + 0.7 * honest_share, rel=1e-9, abs=1e-10)
    assert torch.equal(value.indices[210:], torch.arange(100, 190))
    assert value.distances[210:].amax() <= value.threshold < value.distances[:210].median()


def test_distances_and_threshold_by_hand():
    training, held_out = torch.tensor([[0.0], [10.0]]), torch.tensor([[1.0], [8.0], [13.0], [16.0]])
    candidates = torch.tensor([[0.5], [10.0], [12.5], [30.0]])
    value = near_duplicates(candidates, training, held_out, percentile=50)
    # Held-out samples are 1, 2, 3 and 6 away; the middle, of two the lower, is 2.
    assert value.threshold.item() == pytest.approx(2, rel=1e-6, abs=1e-6)
    assert value.held_out_rate.item() == 0.5
    assert value.rate.item() == 0.5
    assert value.distances.tolist() == pytest.approx([0.5, 0, 2.5, 20], rel=1e-6, abs=1e-6)
    assert value.indices.tolist() == [0, 1, 1, 1]


def test_copies_within_the_data_set_raise_both_shares(sets):
    """If a tenth of the held-out images are also in the training set, copies do not indicate memorization."""
    training, held_out, honest = sets
    held_out = torch.cat([held_out, training[:45]])
    value = near_duplicates(torch.cat([honest[:270], training[:30]]), training, held_out)
    assert value.threshold.item() == pytest.approx(0, abs=1e-6)
    assert value.rate.item() == pytest.approx(0.1, rel=1e-9, abs=1e-10)
    assert value.held_out_rate.item() == pytest.approx(45 / 445, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("block_rows", [7, 100])
def test_any_block_size(sets, block_rows):
    training, held_out, honest = sets
    one, other = (
        near_duplicates(honest, training, held_out),
        near_duplicates(honest, training, held_out, block_rows=block_rows),
    )
    assert all(torch.allclose(*pair, rtol=1e-6, atol=1e-6) for pair in zip(one, other, strict=True))


def test_metric(rows_extractor, sets):
    training, held_out, honest = sets
    metric = NearDuplicates(rows_extractor, held_out)
    for part in training.split(250):
        metric.update(part, real=True)
    for part in (honest, training[:50]):
        metric.update(part, real=False)
    values = metric.compute()
    expected = near_duplicates(torch.cat([honest, training[:50]]), training, held_out)
    assert values["near_duplicate_rate"].item() == pytest.approx(expected.rate.item(), rel=1e-9, abs=1e-10)
    assert expected.rate.item() > 50 / 350
    assert values["near_duplicate_rate_held_out"].item() == pytest.approx(
        expected.held_out_rate.item(), rel=1e-9, abs=1e-10
    )
    assert values["near_duplicate_threshold"].item() == pytest.approx(expected.threshold.item(), rel=1e-9, abs=1e-9)
    assert metric.counts == {"training": 600, "generated": 350, "held_out": 400}
    assert metric.settings()["percentile"] == 1.0
    assert metric.warnings == ()


def test_a_reference_that_kept_a_part_gives_a_warning(rows_extractor, sets):
    training, held_out, honest = sets
    for keep, warnings in ((600, ()), (100, ("compared with 100 of 600 training samples",))):
        reference = compute_reference_statistics(training, rows_extractor, keep=keep)
        metric = NearDuplicates(rows_extractor, held_out, reference=reference)
        metric.update(honest, real=False)
        metric.compute()
        assert metric.warnings == warnings


def test_planted_copies_of_images(image_extractor, make_images):
    training, held_out, honest = (make_images(n, seed) for n, seed in ((200, 0), (200, 1), (100, 2)))
    metric = NearDuplicates(image_extractor, held_out)
    metric.update(training, real=True)
    metric.update(torch.cat([honest, training[:25]]), real=False)
    assert 0.2 <= metric.compute()["near_duplicate_rate"].item() < 0.3


@pytest.mark.parametrize("percentile", [0, 100, -1])
def test_percentile_out_of_range(rows_extractor, sets, percentile):
    with pytest.raises(ConfigurationError, match=r"percentile: got .*, expected a value in \(0, 100\)"):
        NearDuplicates(rows_extractor, sets[1], percentile)


@pytest.mark.parametrize("kind", ["generated", "training", "held-out"])
def test_missing_samples(rows_extractor, sets, kind):
    training, held_out, honest = sets
    metric = NearDuplicates(rows_extractor, held_out[:0] if kind == "held-out" else held_out)
    metric.update(training[:0] if kind == "training" else training, real=True)
    metric.update(honest[:0] if kind == "generated" else honest, real=False)
    with pytest.raises(ConfigurationError, match=f"near duplicates: got 0 {kind} samples"):
        metric.compute()
