from __future__ import annotations

import math

import pytest

from ganmc_lightning.experiments.statistics import estimate, student_t_975


def test_interval_of_three_seeds_by_hand():
    # mean 0.97; squared deviations 1e-4 + 0 + 1e-4, so the standard deviation is sqrt(2e-4 / 2) = 0.01;
    # t(0.975, 2) = 4.3027 from the printed table, over sqrt(3)
    result = estimate([0.96, 0.97, 0.98])
    assert result.mean == pytest.approx(0.97, rel=1e-9, abs=1e-10)
    assert result.ci95 == pytest.approx(4.3027 * 0.01 / 1.7320508, rel=1e-4, abs=1e-6)
    assert result.n == 3


def test_one_seed_has_no_interval():
    result = estimate([0.5])
    assert (result.mean, result.ci95, result.n) == (0.5, None, 1)


def test_a_diverged_run_is_not_left_out():
    result = estimate([0.9, math.nan, 0.9])
    assert math.isnan(result.mean)
    assert result.ci95 is None


@pytest.mark.parametrize("degrees", [*range(1, 41), 100, 1000])
def test_quantiles_against_scipy(degrees):
    stats = pytest.importorskip("scipy.stats")
    assert student_t_975(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-5, abs=1e-6)
