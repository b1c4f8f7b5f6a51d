from __future__ import annotations

import numpy as np
import torch

from ganmc_lightning.data.scaling import Scaler


def test_z_scores_as_numpy_computes_them() -> None:
    rows = torch.randn(50, 3) * torch.tensor([0.01, 1.0, 300.0]) + torch.tensor([5.0, 0.0, 1000.0])
    scaled = Scaler.fit(rows).transform(rows)
    exact = rows.numpy().astype(np.float64)
    exact = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.numpy(), exact, rtol=1e-6, atol=1e-6)


def test_other_rows_use_the_statistics_of_the_first() -> None:
    scaler = Scaler.fit(torch.tensor([[0.0], [2.0]]))
    assert scaler.transform(torch.tensor([[5.0]])).tolist() == [[4.0]]


def test_constant_column_becomes_zero() -> None:
    rows = torch.tensor([[7.0, 1.0], [7.0, 3.0]])
    assert Scaler.fit(rows).transform(rows).tolist() == [[0.0, -1.0], [0.0, 1.0]]


def test_inverse_gives_the_rows_back() -> None:
    rows = torch.randn(20, 4) * 10 + 3
    scaler = Scaler.fit(rows)
    torch.testing.assert_close(scaler.inverse(scaler.transform(rows)), rows, rtol=1e-6, atol=1e-5)
    assert set(scaler.state_dict()) == {"mean", "std"}
