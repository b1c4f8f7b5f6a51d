from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.batch import Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.rescaled import MEAN, QUANTILES, STD, read_statistics, statistics_to_arrays

QUANTILE = torch.tensor([[0.0, 30.0], [-3.0, 3.0]]).double()


def write(path, **changes):
    statistics = Statistics(torch.tensor([1.0, 2.0]).double(), torch.tensor([3.0, 4.0]).double(), (QUANTILE, QUANTILE))
    np.savez(path, X_scaled=np.zeros((3, 2)), **{**statistics_to_arrays(statistics), **changes})
    return path


def test_statistics_are_read_as_written(tmp_path):
    read = read_statistics(write(tmp_path / "rows.npz"))
    assert (read.mean.tolist(), read.std.tolist()) == ([1, 2], [3, 4])
    assert [each.tolist() for each in read.quantiles] == [QUANTILE.tolist()] * 2
    whole = read_statistics(write(tmp_path / "rows.npz", **{MEAN: np.array([1, 2], dtype=np.uint8)}))
    assert whole.mean.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({MEAN: np.array(["one", "two"])}, f"{MEAN}: got dtype <U3, expected numbers"),
        ({MEAN: np.array([1j, 2])}, f"{MEAN}: got dtype complex128, expected numbers"),
        ({STD: np.array([True, True])}, f"{STD}: got dtype bool, expected numbers"),
        ({MEAN: np.array([1, np.nan])}, f"{MEAN}: got NaN or infinity, expected finite numbers"),
        ({STD: np.array([1, np.inf])}, f"{STD}: got NaN or infinity, expected finite numbers"),
        ({f"{QUANTILES}_1": np.full((2, 2), np.nan)}, f"{QUANTILES}_1: got NaN or infinity, expected finite numbers"),
        ({STD: np.array([1.0, 0])}, f"{STD}: got 0, expected positive numbers"),
        ({STD: np.array([1.0, -2])}, f"{STD}: got -2, expected positive numbers"),
        ({STD: np.ones(3)}, f"{MEAN}, {STD}: got other shapes than `ganmc sample` writes"),
    ],
)
def test_damaged_statistics(changes, message, tmp_path):
    path = write(tmp_path / "rows.npz", **changes)
    with pytest.raises(ConfigurationError) as error:
        read_statistics(path)
    assert str(error.value) == f"{path}: {message}"
