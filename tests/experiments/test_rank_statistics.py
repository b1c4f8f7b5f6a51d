from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import chi2

from ganmc_lightning.experiments.rank_statistics import (
    adjust_holm,
    average_ranks,
    count_wins,
    critical_difference,
    friedman_test,
    signed_rank_test,
)

# Demsar 2006, table 6: AUC of C4.5 with four settings on 14 data sets
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_average_ranks_of_the_paper():
    np.testing.assert_allclose(average_ranks(DEMSAR), [3.143, 2.000, 2.893, 1.964], atol=5e-4)


def test_friedman_test_without_ties_equals_the_formula_of_the_paper():
    scores = np.random.default_rng(0).normal(size=(12, 5)) + np.linspace(0, 1, 5)
    n, k = scores.shape
    statistic = 12 * n / (k * (k + 1)) * ((average_ranks(scores) ** 2).sum() - k * (k + 1) ** 2 / 4)
    assert friedman_test(scores) == pytest.approx(chi2.sf(statistic, k - 1))


@pytest.mark.parametrize(
    ("models", "quantile"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_critical_difference_has_the_quantiles_of_the_paper(models, quantile):
    """Demsar 2006, table 5 (a)."""
    assert critical_difference(models, 20) == pytest.approx(quantile * np.sqrt(models * (models + 1) / 120), abs=1e-3)


def test_signed_rank_test_equals_the_enumeration_of_all_signs():
    differences = np.array([0.3, -0.1, 0.5, 0.7, 0.2, 0.9, 0.4, -0.05])
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    observed = ranks[differences > 0].sum()
    sums = np.array([ranks[list(signs)].sum() for signs in product([False, True], repeat=len(ranks))])
    expected = 2 * min((sums >= observed).mean(), (sums <= observed).mean())
    assert signed_rank_test(differences) == pytest.approx(expected)


def test_equal_models():
    assert signed_rank_test(np.zeros(5)) == 1
    assert friedman_test(np.ones((5, 3))) == 1
    assert count_wins(np.array([0.01, -0.01, 0.0]), tie=0.01) == (0, 3, 0)


def test_holm_is_monotone_and_between_raw_and_bonferroni():
    p = np.random.default_rng(0).uniform(size=12) ** 3
    adjusted = np.array(adjust_holm(p.tolist()))
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, 12 * p) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert adjusted[p.argmin()] == pytest.approx(min(1, 12 * p.min()))


def test_nan_is_neither_a_tie_nor_a_test():
    assert count_wins(np.array([0.1, np.nan, 0.0]), tie=0.01) == (1, 1, 0)
    for order in ([0.01, np.nan, 0.04], [np.nan, 0.01, 0.04]):
        adjusted = np.array(adjust_holm(order))
        np.testing.assert_equal(np.isnan(adjusted), np.isnan(order))
        np.testing.assert_allclose(adjusted[~np.isnan(adjusted)], adjust_holm([0.01, 0.04]))
