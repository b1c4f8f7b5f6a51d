"""Normal scores, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.data.quantile_transform import MAX_QUANTILES, interpolate, normal_quantiles


def skewed(n: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(0)).double().exp()


def test_scores_are_the_normal_quantiles_of_the_ranks() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = torch.cat([skewed(60), torch.full((20,), 0.5, dtype=torch.float64)])
    knots, scores = normal_quantiles(values)
    expected = stats.norm.ppf((stats.rankdata(values.numpy()) - 0.5) / len(values))
    np.testing.assert_allclose(interpolate(values, knots, scores).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_many_values_become_normal_with_few_quantiles() -> None:
    values = skewed(5000)
    curve = normal_quantiles(values)
    assert curve.shape[1] <= MAX_QUANTILES
    assert (curve.diff(dim=1) > 0).all()
    scores = interpolate(values, *curve)
    assert scores.mean().item() == pytest.approx(0, abs=0.01)
    assert scores.std().item() == pytest.approx(1, abs=0.01)
    assert scores.pow(4).mean().item() == pytest.approx(3, abs=0.1)
    assert torch.equal(scores.argsort(), values.argsort())


def test_the_way_back_also_beyond_the_ends() -> None:
    curve = normal_quantiles(skewed(300))
    values = torch.linspace(-50, 200, 999, dtype=torch.float64)
    there = interpolate(values, *curve)
    assert (there.diff() > 0).all()
    torch.testing.assert_close(interpolate(there, *curve.flip(0)), values, rtol=1e-9, atol=1e-9)


def test_interpolation_is_numpy_s_between_the_ends() -> None:
    knots, heights = torch.tensor([[0.0, 1.0, 3.0], [0.0, 2.0, 3.0]], dtype=torch.float64)
    x = torch.linspace(0, 3, 31, dtype=torch.float64)
    np.testing.assert_allclose(
        interpolate(x, knots, heights).numpy(), np.interp(x, knots, heights), rtol=1e-9, atol=1e-12
    )
    beyond = interpolate(torch.tensor([-1.0, 5.0], dtype=torch.float64), knots, heights)
    assert beyond.tolist() == [-2.0, 4.0]


def test_constant_column_of_a_large_value_keeps_it() -> None:
    column = torch.full((5,), 1.7e18, dtype=torch.float64)
    knots, scores = normal_quantiles(column)
    assert interpolate(column, knots, scores).tolist() == [0.0] * 5
    assert interpolate(torch.zeros(2, dtype=torch.float64), scores, knots).tolist() == [1.7e18] * 2


def test_constant_column_moves_along_a_straight_line() -> None:
    knots, scores = normal_quantiles(torch.full((5,), 7.0, dtype=torch.float64))
    assert interpolate(torch.tensor([7.0, 9.0], dtype=torch.float64), knots, scores).tolist() == [0.0, 2.0]
