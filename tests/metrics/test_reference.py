from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import (
    PRDC,
    ClassifierExtractor,
    FrechetInceptionDistance,
    KernelInceptionDistance,
    compute_reference_statistics,
    extract_features,
)


class Counting(nn.Linear):
    """Counts the batches passed to it."""

    asked = 0

    def forward(self, inputs):
        Counting.asked += 1
        return super().forward(inputs)


@pytest.fixture
def extractor():
    Counting.asked = 0
    torch.manual_seed(0)
    made = ClassifierExtractor(Counting(6, 4))
    made(torch.zeros(1, 6))  # the first batch of a shape is tried beforehand
    return made


def statistics(rows, extractor, cache, **changed):
    """The statistics and the number of batches passed to the extractor."""
    before = Counting.asked
    arguments = {"batch_size": 32, **changed}
    return compute_reference_statistics(rows, extractor, cache=cache, **arguments), Counting.asked - before


def equal(one, other):
    return one.count == other.count and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("mean", "covariance", "features")
    )


def test_moments(extractor, make_rows):
    rows = make_rows(100, 0, shift=3)
    found, asked = statistics(rows, extractor, None)
    assert asked == 4
    assert found.count == 100
    assert found.mean.numpy() == pytest.approx(rows.double().numpy().mean(axis=0), rel=1e-9, abs=1e-10)
    assert found.covariance.numpy() == pytest.approx(np.cov(rows.double().numpy(), rowvar=False), rel=1e-9, abs=1e-10)
    assert torch.equal(found.features, rows)


def test_the_second_time_they_are_read(extractor, make_rows, tmp_path):
    rows = make_rows(100, 0)
    first, _ = statistics(rows, extractor, tmp_path / "a" / "b", keep=30)
    second, asked = statistics(rows, extractor, tmp_path / "a" / "b", keep=30)
    assert asked == 0
    assert equal(first, second)
    assert second.features.shape == (30, 6)
    assert second.features.dtype == torch.float32
    assert second.covariance.dtype == torch.float64


def test_what_is_kept_represents_them_all(extractor, make_rows):
    """Also if the samples are sorted by class, as in folders."""
    rows = torch.cat([make_rows(500, k, shift=10 * k) for k in range(4)])
    kept = statistics(rows, extractor, None, keep=400)[0].features
    shares = kept.mean(dim=1).div(10).round().long().bincount(minlength=4) / 400
    assert shares.tolist() == pytest.approx([0.25] * 4, abs=0.08)
    places = [rows.eq(row).all(dim=1).nonzero().item() for row in kept]
    assert places == sorted(places)


def test_broken_features_are_not_kept(make_rows, tmp_path):
    layer = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 4))
    nn.init.constant_(layer[0].bias, torch.nan)
    with pytest.raises(ConfigurationError, match="got NaN or infinite features"):
        compute_reference_statistics(make_rows(9, 0), ClassifierExtractor(layer), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changed", ["keep", "samples", "number", "extractor"])
def test_statistics_are_recomputed_after_every_change(extractor, make_rows, tmp_path, changed):
    rows, arguments = make_rows(100, 0), {}
    statistics(rows, extractor, tmp_path)
    if changed == "keep":
        arguments["keep"] = 50
    elif changed == "samples":
        rows[7, 2] += 1e-3
    elif changed == "number":
        rows = rows[:99]
    else:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            extractor = ClassifierExtractor(Counting(6, 4))
    found, asked = statistics(rows, extractor, tmp_path, **arguments)
    assert asked >= 4
    assert equal(found, statistics(rows, extractor, None, **arguments)[0])
    assert len(list(tmp_path.iterdir())) == 2


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def damage_empty(path):
    path.write_bytes(b"")


def damage_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_shape(path):
    np.savez(path, mean=np.zeros(5), covariance=np.zeros((5, 5)), features=np.zeros((9, 5), np.float32))


def damage_nan(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["mean"][0] = np.nan
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", [damage_cut, damage_empty, damage_bit, damage_shape, damage_nan])
def test_a_damaged_file_is_not_trusted(extractor, make_rows, tmp_path, damage):
    rows = make_rows(100, 0)
    whole, _ = statistics(rows, extractor, tmp_path)
    (path,) = tmp_path.iterdir()
    damage(path)
    found, asked = statistics(rows, extractor, tmp_path)
    assert asked == 4
    assert equal(found, whole)
    assert statistics(rows, extractor, tmp_path)[1] == 0  # and it is whole again


def test_a_folder_that_cannot_be_written_costs_no_result(extractor, make_rows, tmp_path):
    (tmp_path / "file").write_text("")
    rows = make_rows(10, 0)
    found, _ = statistics(rows, extractor, tmp_path / "file")
    assert equal(found, statistics(rows, extractor, None)[0])


def test_too_few(extractor, make_rows):
    with pytest.raises(ConfigurationError, match="got 1 real samples, expected at least 2"):
        statistics(make_rows(1, 0), extractor, None)


def test_progress_sees_every_batch(extractor, make_rows):
    sizes = []

    def progress(batches):
        for batch in batches:
            sizes.append(len(batch))
            yield batch

    extract_features(make_rows(70, 0), extractor, 32, progress)
    assert sizes == [32, 32, 6]


def test_features_of_images(image_extractor, make_images):
    images = make_images(50, 0)
    features, logits = extract_features(images, image_extractor, 16)
    assert torch.allclose(features, image_extractor(images).features, rtol=1e-5, atol=1e-5)
    assert torch.allclose(logits, image_extractor(images).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [FrechetInceptionDistance, PRDC, lambda *a, **k: KernelInceptionDistance(*a, subsets=5, subset_size=40, **k)],
    ids=["fid", "prdc", "kid"],
)
class TestMetricsWithAReference:
    def test_equal_values_computed_from_samples(self, extractor, make_rows, make):
        real, fake = make_rows(100, 0), make_rows(80, 1, shift=0.3)
        known, seen = make(extractor, reference=statistics(real, extractor, None)[0]), make(extractor)
        seen.update(real, real=True)
        for metric in (known, seen):
            metric.update(fake, real=False)
        first, second = known.compute(), seen.compute()
        if isinstance(first, dict):
            first, second = (torch.stack(list(values.values())) for values in (first, second))
        assert torch.allclose(first, second, rtol=1e-8, atol=1e-8)
        assert known.counts == seen.counts == {"real": 100, "generated": 80}

    def test_survives_a_reset(self, extractor, make_rows, make):
        metric = make(extractor, reference=statistics(make_rows(100, 0), extractor, None)[0])
        values = []
        for _ in range(2):
            metric.update(make_rows(80, 1), real=False)
            values.append(metric.compute())
            metric.reset()
        assert values[0] == values[1]

    def test_takes_no_real_samples(self, extractor, make_rows, make):
        metric = make(extractor, reference=statistics(make_rows(100, 0), extractor, None)[0])
        with pytest.raises(ConfigurationError, match="got real samples and a reference"):
            metric.update(make_rows(5, 0), real=True)
