from __future__ import annotations

import numpy as np
import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.weights import check_weights

LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.bool_])
def test_weights_become_float64(dtype: type) -> None:
    weights = check_weights(np.array([1, 0, 0, 1], dtype=dtype), LABELS, "w")
    assert weights.dtype == np.float64
    assert weights.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.array(["1"] * 4), "dtype <U1, expected numbers"),
        (np.ones(3), r"shape \(3,\) for labels of shape \(4,\)"),
        (np.ones((4, 1)), r"shape \(4, 1\) for labels of shape \(4,\)"),
        (np.array([1, 1, 1, -0.5]), "-0.5, expected finite"),
        (np.array([1, 1, 1, np.nan]), "nan, expected finite"),
        (np.array([0, 1, 0, 1]), "zero for all samples of class 0"),
    ],
)
def test_unusable_weights(weights: np.ndarray, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^w: got {words}"):
        check_weights(weights, LABELS, "w")
