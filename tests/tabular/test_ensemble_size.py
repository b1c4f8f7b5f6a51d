from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from ganmc_lightning.tabular.ensemble_size import first_trees, measure_ensemble_curve
from ganmc_lightning.tabular.metrics import roc_auc, top1_accuracy


def test_first_trees_equal_a_smaller_forest(binary):
    X, y = binary
    forest = RandomForestRegressor(6, random_state=3).fit(X, y)
    smaller = RandomForestRegressor(2, random_state=3).fit(X, y)
    np.testing.assert_allclose(first_trees(forest, 2).regressor.predict(X), smaller.predict(X), rtol=1e-9, atol=1e-12)
    assert len(forest.estimators_) == 6


@pytest.mark.parametrize("classes", [2, 3])
def test_curve(binary, three, classes):
    X, y = binary if classes == 2 else three
    targets = y.astype(float) if classes == 2 else np.eye(3)[y]
    forest = RandomForestRegressor(4, random_state=0, max_leaf_nodes=10).fit(X, targets)
    score = roc_auc if classes == 2 else top1_accuracy
    curve = measure_ensemble_curve(forest, X, y, X[:50], score)
    assert curve.trees == [1, 2, 3, 4]
    for trees, value in zip(curve.trees, curve.score, strict=True):
        assert value == pytest.approx(score(y, first_trees(forest, trees).predict_proba(X)), rel=1e-9, abs=1e-10)
    assert curve.bytes == sorted(curve.bytes)
    assert curve.bytes[3] > 3 * curve.bytes[0]
    assert curve.seconds[3] > curve.seconds[0] > 0
