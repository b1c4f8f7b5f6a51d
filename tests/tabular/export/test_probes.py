from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from ganmc_lightning.tabular.export import probes
from ganmc_lightning.tabular.export.arrays import round_down
from ganmc_lightning.tabular.export.probes import SPECIAL, probe_samples

ALL = np.ones(len(SPECIAL), dtype=bool)
FINITE = np.isfinite(SPECIAL)


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    X[rng.random(X.shape) < 0.2] = np.nan
    return DecisionTreeClassifier(random_state=0).fit(X, y), X


@pytest.mark.skipif(sklearn.__version__.startswith("1.7."), reason="decision_path of 1.7 ignores the branch of NaN")
def test_every_threshold_is_reached_from_both_sides(fitted):
    """Every finite threshold is probed by its value and the next float32; NaN reaches the children of infinite ones."""
    model, _ = fitted
    tree = model.tree_
    rows = probe_samples(model, ALL)
    reached = tree.decision_path(rows).toarray().astype(bool)
    assert reached.any(axis=0).all()
    thresholds = round_down(tree.threshold)
    inner = np.flatnonzero(tree.children_left >= 0)
    assert np.isinf(thresholds[inner]).any()
    for node in inner[np.isfinite(thresholds[inner])]:
        seen = rows[reached[:, node], tree.feature[node]].tolist()
        assert thresholds[node] in seen
        assert np.nextafter(thresholds[node], np.float32(np.inf)) in seen
    assert np.isnan(rows[:, tree.feature[0]]).any()


def test_all_neighbors_of_the_threshold_of_a_stump():
    stump = DecisionTreeClassifier(max_depth=1).fit([[0.0], [0.3]], [0, 1])
    threshold = round_down(stump.tree_.threshold)[0]
    neighbors = [np.nextafter(threshold, np.float32(limit)) for limit in (-np.inf, np.inf)]
    assert {threshold, *neighbors} <= set(probe_samples(stump, ALL)[:, 0].tolist())


def test_special_values(fitted):
    rows = probe_samples(fitted[0], ALL)
    assert rows.dtype == np.float32
    for value in SPECIAL:
        assert (np.isnan(rows) if np.isnan(value) else rows == value).any()


def test_rejected_values_are_excluded(fitted):
    assert np.isfinite(probe_samples(fitted[0], FINITE)).all()
    with_nan = probe_samples(fitted[0], FINITE | np.isnan(SPECIAL))
    assert np.isnan(with_nan).any()
    assert not np.isinf(with_nan).any()


def test_large_models_are_probed_at_a_subset_of_nodes(monkeypatch):
    monkeypatch.setattr(probes, "N_SAMPLES", 600)
    rng = np.random.default_rng(0)
    forest = RandomForestClassifier(10, random_state=0).fit(rng.normal(size=(300, 2)), rng.integers(0, 2, 300))
    assert sum(tree.tree_.node_count for tree in forest.estimators_) > 1000
    assert 600 < len(probe_samples(forest, ALL)) <= 600 + 3 * probes.DRAWN


def test_models_without_trees():
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    rows = probe_samples(model, FINITE)
    assert rows.shape == (probes.DRAWN, 1)
    assert np.isfinite(rows).all()
