from __future__ import annotations

import numpy as np
import pytest

from ganmc_lightning.data.datasets.row_numbers import MIN_ROWS, check_no_row_numbers
from ganmc_lightning.exceptions import ConfigurationError

RNG = np.random.default_rng(0)


def check(column: np.ndarray, name: str) -> None:
    rows = np.column_stack([RNG.normal(size=len(column)), column])
    check_no_row_numbers(rows, ["height", name], "t.csv", "drop it")


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (np.arange(40), "n"),
        (np.arange(1, 41), "n"),
        (RNG.permutation(40), "n"),  # a table shuffled after it was numbered
        (np.delete(np.arange(50), [3, 17]), "index"),  # rows removed after numbering
        (1000 + 7 * RNG.permutation(40), "ID"),
        (1000 + np.arange(40), "row number"),
    ],
)
def test_row_numbers_raise(column: np.ndarray, name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"t\.csv: column '{name}' numbers the rows \(\d+\.\.\d+, .*; drop it"
    ):
        check(column, name)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (np.arange(40) + 5, "n"),
        (np.arange(40) * 2, "n"),
        (np.arange(40) // 2, "id"),
        (np.arange(40) + 0.5, "id"),
        (np.arange(40) % 39, "n"),
        (np.arange(MIN_ROWS - 1), "id"),
        (1_700_000_000 + RNG.permutation(40), "time"),
    ],
)
def test_measurements_pass(column: np.ndarray, name: str) -> None:
    check(column, name)
