from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.samples import check_scaled, read_npz_samples
from ganmc_lightning.synthesizers import StoredSynthesizer

REAL = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
REAL[:, 2] = 0.0  # a constant column, scaled


def test_scaled_rows_come_before_rows_in_other_units(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, X=np.full((4, 3), 500.0), X_scaled=np.zeros((4, 3)))
    rows = read_npz_samples(path)
    assert rows.dtype == torch.float32
    assert (rows == 0).all()
    synthesizer = StoredSynthesizer(str(path))
    synthesizer.fit(REAL, torch.arange(200) % 2, DataSpec((3,), 2))
    assert (synthesizer.sample(5)[0] == 0).all()


def test_rows_that_a_poor_generator_makes_pass():
    made = 2 * torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    made[:, 2] /= 10
    made[:40] *= 100  # fewer than half are far out
    check_scaled(made, REAL, "s.npz")


@pytest.mark.parametrize("column", [0, 2])
def test_rows_in_other_units_raise(tmp_path, column):
    rows = REAL.clone()
    rows[:, column] = 700 + REAL[:, 0]
    np.savez(tmp_path / "s.npz", X=rows)
    with pytest.raises(ConfigurationError, match=rf"s\.npz: column {column}: got the median \d+"):
        StoredSynthesizer(str(tmp_path / "s.npz")).fit(REAL, torch.arange(200) % 2, DataSpec((3,), 2))
