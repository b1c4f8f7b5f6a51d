from __future__ import annotations

import math

import pytest

from ganmc_lightning.experiments.statistics import mean_ci


def test_interval_of_three_seeds_by_hand():
    # mean 0.97; squared deviations 1e-4 + 0 + 1e-4, so the standard deviation is sqrt(2e-4 / 2) = 0.01;
    # t(0.975, 2) = 4.3027 from the printed table, over sqrt(3)
    result = mean_ci([0.96, 0.97, 0.98])
    assert result.mean == pytest.approx(0.97, rel=1e-9, abs=1e-10)
    assert result.ci95 == pytest.approx(4.3027 * 0.01 / 1.7320508, rel=1e-4, abs=1e-6)
    assert result.n == 3


def test_one_seed_has_no_interval():
    result = mean_ci([0.5])
    assert (result.mean, result.ci95, result.n) == (0.5, None, 1)


def test_a_diverged_run_is_not_skipped():
    result = mean_ci([0.9, math.nan, 0.9])
    assert math.isnan(result.mean)
    assert result.ci95 is None


@pytest.mark.parametrize("n", [2, 3, 5, 11, 100])
def test_interval_against_scipy(n):
    stats = pytest.importorskip("scipy.stats")
    values = [math.sin(k) for k in range(n)]
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    result = mean_ci(values)
    assert result.mean - result.ci95 == pytest.approx(low, rel=1e-9, abs=1e-12)
    assert result.mean + result.ci95 == pytest.approx(high, rel=1e-9, abs=1e-12)
