"""Comparison with scipy's matrix square root and torch-fidelity, and properties."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

from ganmc_lightning.metrics import frechet_distance, trace_sqrt_product
from ganmc_lightning.metrics.functional.frechet import cholesky_factor, drop_constant_features


def centered_rows(n, d, seed, spread=2.0):
    """Rows of mixed columns with standard deviations that decrease to 10 to the power of ``-spread``."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator, dtype=torch.float64) * torch.logspace(0, -spread, d).double()
    rows = rows @ torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))[0]
    return rows - rows.mean(dim=0)


def covariance(rows):
    return rows.T @ rows / (len(rows) - 1)


def trace_from_rows(rows, others):
    """The sum of singular values of X Y': no covariance, no square root of a matrix."""
    return torch.linalg.svdvals(rows @ others.T).sum() / ((len(rows) - 1) * (len(others) - 1)) ** 0.5


@pytest.mark.parametrize("d", [1, 2, 40, 120])
def test_as_scipy(d):
    one, other = covariance(centered_rows(300, d, 0)), covariance(1.5 * centered_rows(200, d, 1))
    expected = np.trace(scipy.linalg.sqrtm((one @ other).numpy())).real
    assert trace_sqrt_product(one, other).item() == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert trace_sqrt_product(other, one).item() == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_diagonal_by_hand():
    one, other = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([16.0, 1.0, 4.0]).double()
    assert trace_sqrt_product(one.diag(), other.diag()).item() == pytest.approx(4 + 2 + 6, rel=1e-9, abs=1e-10)
    mean = torch.tensor([1.0, 2.0, 2.0]).double()
    assert frechet_distance(mean, one.diag(), 0 * mean, other.diag()).item() == pytest.approx(
        9 + 14 + 21 - 24, rel=1e-9, abs=1e-9
    )


def test_as_torch_fidelity():
    rows, others = centered_rows(400, 50, 0), 0.7 * centered_rows(300, 50, 1)
    moments = [(rows.mean(dim=0) + 1, covariance(rows)), (others.mean(dim=0), covariance(others))]
    numbers = [{"mu": mean.numpy(), "sigma": spread.numpy()} for mean, spread in moments]
    expected = fid_statistics_to_metric(*numbers, verbose=False)[KEY_METRIC_FID]
    assert frechet_distance(*moments[0], *moments[1]).item() == pytest.approx(expected, rel=1e-8, abs=1e-8)


class TestSingular:
    @pytest.mark.parametrize(("n", "m"), [(20, 30), (30, 20), (20, 200), (200, 20), (2, 2)])
    def test_fewer_samples_than_features(self, n, m):
        rows, others = centered_rows(n, 60, 0), centered_rows(m, 60, 1)
        expected = trace_from_rows(rows, others).item()
        assert trace_sqrt_product(covariance(rows), covariance(others)).item() == pytest.approx(
            expected, rel=1e-7, abs=1e-9
        )

    def test_nearly_singular(self):
        """Variances over fourteen powers of ten: a Cholesky factor exists, and is ill-conditioned."""
        rows, others = centered_rows(300, 60, 0, spread=7), centered_rows(200, 60, 1, spread=7)
        expected = trace_from_rows(rows, others).item()
        assert trace_sqrt_product(covariance(rows), covariance(others)).item() == pytest.approx(
            expected, rel=1e-7, abs=1e-9
        )

    @pytest.mark.parametrize("n", [10, 100])
    def test_a_set_is_no_distance_from_itself(self, n):
        rows = centered_rows(n, 60, 0)
        moments = rows.mean(dim=0), covariance(rows)
        assert frechet_distance(*moments, *moments).item() < 1e-9 * moments[1].trace().item()

    def test_a_constant_set(self):
        spread = covariance(centered_rows(100, 5, 0))
        nothing = torch.zeros_like(spread)
        assert trace_sqrt_product(spread, nothing).item() == 0
        assert trace_sqrt_product(nothing, spread).item() == 0
        assert trace_sqrt_product(nothing, nothing).item() == 0

    def test_constant_features_are_dropped(self):
        """Dead features do not cause the slow computation."""
        one, other = covariance(centered_rows(100, 5, 0)), covariance(centered_rows(100, 5, 1))
        wider = [torch.zeros(8, 8, dtype=torch.float64) for _ in range(2)]
        for wide, narrow in zip(wider, (one, other), strict=True):
            wide[1:6, 1:6] = narrow
        assert cholesky_factor(wider[0]) is None
        assert all(torch.equal(*pair) for pair in zip(drop_constant_features(*wider), (one, other), strict=True))
        assert trace_sqrt_product(*wider).item() == pytest.approx(trace_sqrt_product(one, other).item(), rel=1e-9)

    def test_features_that_vary_in_one_set_stay(self):
        one, other = torch.diag(torch.tensor([1.0, 0.0])).double(), torch.eye(2).double()
        assert drop_constant_features(one, other)[0].shape == (2, 2)
        zero = torch.zeros(2).double()
        assert frechet_distance(zero, one, zero, other).item() == pytest.approx(1, rel=1e-9, abs=1e-10)


def test_never_negative():
    """The distance of a set to itself is not negative despite rounding."""
    for seed in range(20):
        spread = covariance(centered_rows(50, 10, seed, spread=0))
        assert frechet_distance(spread[0], spread, spread[0], spread).item() >= 0


def test_twice_the_features_four_times_the_distance():
    rows, others = centered_rows(90, 7, 0), 2 * centered_rows(90, 7, 1)
    plain = frechet_distance(rows[0], covariance(rows), others[0], covariance(others))
    double = frechet_distance(2 * rows[0], 4 * covariance(rows), 2 * others[0], 4 * covariance(others))
    assert double.item() == pytest.approx(4 * plain.item(), rel=1e-9, abs=1e-10)
