from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from ganmc_lightning.data.scaling import RowScaler


def test_z_scores_as_numpy_computes_them() -> None:
    rows = torch.randn(50, 3) * torch.tensor([0.01, 1.0, 300.0]) + torch.tensor([5.0, 0.0, 1000.0])
    scaled = RowScaler.fit(rows).transform(rows)
    exact = rows.numpy().astype(np.float64)
    exact = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.numpy(), exact, rtol=1e-5, atol=1e-6)


def test_other_rows_use_the_statistics_of_the_first() -> None:
    scaler = RowScaler.fit(torch.tensor([[0.0], [2.0]]))
    assert scaler.transform(torch.tensor([[5.0]])).tolist() == [[4.0]]


def test_constant_column_becomes_zero() -> None:
    rows = torch.tensor([[7.0, 1.0], [7.0, 3.0]])
    assert RowScaler.fit(rows).transform(rows).tolist() == [[0.0, -1.0], [0.0, 1.0]]


def test_constant_column_is_scaled_to_zero_despite_rounding() -> None:
    rows = torch.full((3, 1), 0.1, dtype=torch.float64)
    for quantile_transform in (False, True):
        assert RowScaler.fit(rows, quantile_transform).transform(rows).abs().max() == 0


@pytest.mark.parametrize("quantile_transform", [False, True])
def test_timestamps_keep_their_differences(quantile_transform: bool) -> None:
    seconds = 1_700_000_000 + torch.arange(50, dtype=torch.float64)
    rows = torch.stack([seconds, seconds * 1000], dim=1)[torch.randperm(50)]
    scaler = RowScaler.fit(rows, quantile_transform)
    seen = scaler.transform(rows)
    assert [len(column.unique()) for column in seen.unbind(1)] == [50, 50]
    assert torch.equal(seen.argsort(dim=0), rows.argsort(dim=0))
    assert torch.equal(scaler.inverse_transform(seen), rows)


def test_inverse_gives_the_rows_back() -> None:
    rows = torch.randn(20, 4) * 10 + 3
    scaler = RowScaler.fit(rows)
    torch.testing.assert_close(
        scaler.inverse_transform(scaler.transform(rows), valid=False), rows.double(), rtol=1e-6, atol=1e-5
    )


def test_normal_scores_take_the_skew_out() -> None:
    rows = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)).exp() * torch.tensor([1.0, 1000.0])
    scaler = RowScaler.fit(rows, quantile_transform=True)
    seen = scaler.transform(rows)
    assert seen.dtype == torch.float32
    assert seen.mean(dim=0).abs().max() < 1e-6
    assert (seen.std(dim=0, correction=0) - 1).abs().max() < 1e-6
    assert seen.pow(3).mean(dim=0).abs().max() < 0.05
    assert RowScaler.fit(rows).transform(rows).pow(3).mean(dim=0).min() > 2
    assert torch.equal(seen.argsort(dim=0), rows.argsort(dim=0))
    torch.testing.assert_close(scaler.inverse_transform(seen, valid=False), rows.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("quantile_transform", [False, True])
def test_generated_rows_become_rows_of_the_table(quantile_transform: bool) -> None:
    random = torch.Generator().manual_seed(0)
    color = torch.randint(3, (200,), generator=random)
    rows = torch.cat([torch.randn(200, 1, generator=random).exp(), torch.eye(3)[color]], dim=1)
    scaler = RowScaler.fit(rows, quantile_transform, one_hot_blocks=((1, 4),))
    assert torch.equal(scaler.inverse_transform(scaler.transform(rows))[:, 1:], rows[:, 1:].double())
    made = scaler.inverse_transform(3 * torch.randn(300, 4, generator=random))
    assert (made[:, 1:].sort(dim=1).values == torch.tensor([0.0, 0.0, 1.0])).all()
    assert ((made >= rows.amin(dim=0)) & (made <= rows.amax(dim=0))).all()


def test_inverse_does_not_clip() -> None:
    """Test rows may lie outside the range of the training rows."""
    scaler = RowScaler.fit(torch.tensor([[0.0], [2.0]]))
    assert scaler.inverse_transform(torch.tensor([[9.0]]), valid=False).tolist() == [[10.0]]
    assert scaler.inverse_transform(torch.tensor([[9.0]])).tolist() == [[2.0]]


@pytest.mark.parametrize("quantile_transform", [False, True])
def test_state_survives_a_checkpoint(quantile_transform: bool) -> None:
    rows = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    scaler = RowScaler.fit(rows, quantile_transform, one_hot_blocks=((0, 2),))
    file = io.BytesIO()
    torch.save(scaler.state_dict(), file)
    file.seek(0)
    again = RowScaler.from_state_dict(torch.load(file, weights_only=True))
    assert again.equals(scaler)
    assert again.columns is not None
    assert scaler.columns is not None
    assert again.columns.equals(scaler.columns)
    made = torch.randn(9, 3)
    assert torch.equal(again.inverse_transform(made), scaler.inverse_transform(made))
    assert not again.equals(RowScaler.fit(rows, not quantile_transform))
    assert not again.equals(RowScaler.fit(rows[1:], quantile_transform))


def test_state_without_quantiles() -> None:
    rows = torch.randn(30, 3)
    scaler = RowScaler.fit(rows)
    bare = RowScaler.from_state_dict({"mean": scaler.mean, "std": scaler.std})
    assert bare.equals(scaler)
    assert torch.equal(bare.inverse_transform(rows), bare.inverse_transform(rows, valid=False))
