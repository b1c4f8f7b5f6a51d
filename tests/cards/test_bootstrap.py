from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from ganmc_lightning.cards.bootstrap import bootstrap_mean


@pytest.mark.parametrize("continuous", [False, True])
def test_equals_scipys_percentile_bootstrap(continuous):
    random = np.random.default_rng(0)
    values = random.normal(size=300) if continuous else (random.random(300) < 0.8).astype(float)
    interval = bootstrap_mean(values, seed=0)
    expected = bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", random_state=1)
    width = expected.confidence_interval.high - expected.confidence_interval.low
    assert interval.value == pytest.approx(values.mean(), rel=1e-9, abs=1e-10)
    assert interval.low == pytest.approx(expected.confidence_interval.low, abs=0.05 * width)
    assert interval.high == pytest.approx(expected.confidence_interval.high, abs=0.05 * width)


def test_covers_the_accuracy_in_most_test_sets():
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        interval = bootstrap_mean((random.random(500) < 0.9).astype(float), seed)
        covered += interval.low <= 0.9 <= interval.high
    assert 182 <= covered <= 198  # 95 % of 200, plus or minus 2.6 standard deviations


def test_paired_differences_are_narrower_than_unpaired_ones():
    random = np.random.default_rng(0)
    one = random.random(1000) < 0.8
    other = np.where(random.random(1000) < 0.95, one, ~one)
    paired = bootstrap_mean(one.astype(float) - other)
    unpaired = bootstrap_mean(one.astype(float) - random.permutation(other))
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_is_seeded():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_mean(values, 3) == bootstrap_mean(values, 3)
    assert bootstrap_mean(values, 3) != bootstrap_mean(values, 4)


def test_equal_values_have_an_interval_without_width():
    assert bootstrap_mean(np.ones(10)) == (1, 1, 1)
