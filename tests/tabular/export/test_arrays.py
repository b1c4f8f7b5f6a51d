from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.tabular.export.arrays import flatten, round_down
from ganmc_lightning.tabular.profiling import trees_of


@pytest.fixture(scope="module")
def thresholds():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=500) * 10.0 ** rng.integers(-50, 45, 500)  # beyond float32 both ways
    edges = [0, -0.0, 1e-46, -1e-46, 1.4e-45, 1e-39, 3.4028236e38, 1e39, -1e39, np.inf, -np.inf]
    return np.concatenate([drawn, edges])


def test_rounded_down_thresholds_split_float32_equally(thresholds):
    """For thresholds equal to a float32 and between two, in the whole range."""
    down = round_down(thresholds)
    with np.errstate(over="ignore", under="ignore"):
        near = thresholds.astype(np.float32)
        values = np.concatenate([near, *(np.nextafter(near, np.float32(limit)) for limit in (-np.inf, np.inf))])
    values = np.concatenate([values, np.array([0, np.inf, -np.inf, np.nan], dtype=np.float32)])
    np.testing.assert_array_equal(values[:, None] <= down, values[:, None].astype(np.float64) <= thresholds)
    assert down.dtype == np.float32


def test_thresholds_rounded_to_nearest_split_differently():
    X = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    tree = DecisionTreeRegressor(random_state=0).fit(X, np.arange(400) * 1.0)
    thresholds = tree.tree_.threshold[tree.tree_.children_left >= 0]
    rows = thresholds.astype(np.float32)
    assert ((rows <= thresholds) != (rows <= thresholds.astype(np.float32))).any()
    assert ((rows <= thresholds) == (rows <= round_down(thresholds))).all()


def test_predictions_equal_scikit_learn(missing_model, missing_rows):
    trees = trees_of(missing_model)
    made = flatten(trees).predict(missing_rows)
    wanted = np.mean([tree.tree_.predict(missing_rows).reshape(len(missing_rows), -1) for tree in trees], axis=0)
    np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-12)
