from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.tabular.metrics import roc_auc
from ganmc_lightning.tabular.tree_size import (
    SizeCandidate,
    TreeSize,
    first_leaves,
    fit_best_first_tree,
    select_size,
    staged_predict_proba,
    staged_scores,
    staged_sizes,
)

SIZES = (2, 3, 10, 25, 60, 500)


@pytest.fixture(params=[1, 3], ids=["two classes", "three classes"])
def training_set(request):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 4)).round(1)  # ties between splits
    logits = np.stack([rows[:, 0] * rows[:, 1], rows[:, 2], -rows[:, 3]], axis=1)
    targets = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rows, targets[:, 0] if request.param == 1 else targets


@pytest.mark.parametrize("min_samples_leaf", [1, 7])
def test_every_size_predicts_as_a_tree_of_that_size(training_set, min_samples_leaf):
    rows, targets = training_set
    held_out = np.random.default_rng(1).normal(size=(300, 4))
    full = fit_best_first_tree(rows, targets, TreeSize(400, min_samples_leaf), seed=0)
    for size, probabilities in zip(SIZES, staged_predict_proba(full, held_out, SIZES), strict=True):
        reference = fit_best_first_tree(rows, targets, TreeSize(min(size, 400), min_samples_leaf), seed=0)
        np.testing.assert_allclose(probabilities, reference.predict_proba(held_out), rtol=1e-9, atol=1e-12)


def test_bytes_match_a_tree_of_that_size(training_set):
    full = fit_best_first_tree(*training_set, TreeSize(400, 1), seed=0)
    for size, estimated in zip(SIZES[:5], staged_sizes(full, SIZES[:5]), strict=True):
        actual = len(pickle.dumps(fit_best_first_tree(*training_set, TreeSize(size, 1), seed=0)))
        assert abs(estimated - actual) <= 32  # small numbers take fewer bytes


@pytest.mark.parametrize("k", SIZES)
def test_first_leaves_equal_a_tree_of_that_size(training_set, k):
    full = fit_best_first_tree(*training_set, TreeSize(500, 3), seed=0)
    smaller, reference = first_leaves(full.regressor, k), fit_best_first_tree(*training_set, TreeSize(k, 3), seed=0)
    for name in ("children_left", "children_right", "feature", "threshold", "value", "n_node_samples", "impurity"):
        actual, expected = getattr(smaller.tree_, name), getattr(reference.regressor.tree_, name)
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    assert smaller.get_depth() == reference.regressor.get_depth()
    assert smaller.get_params() == reference.regressor.get_params()
    assert full.regressor.max_leaf_nodes == 500


def test_trees_have_no_bootstrap(training_set):
    rows, targets = training_set
    tree = DecisionTreeRegressor(max_leaf_nodes=30, random_state=0).fit(rows, targets)
    full = fit_best_first_tree(rows, targets, TreeSize(30, 1), seed=0)
    np.testing.assert_array_equal(full.regressor.predict(rows), tree.predict(rows))


def test_staged_scores():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3))
    labels = (rows[:, 0] + rng.normal(size=500) > 0).astype(np.int64)
    full = fit_best_first_tree(rows, labels.astype(float), TreeSize(300, 5), seed=0)
    scored = staged_scores(full, rows, labels, (2, 50), roc_auc)
    assert [item.size for item in scored] == [TreeSize(2, 5), TreeSize(50, 5)]
    for item in scored:
        reference = fit_best_first_tree(rows, labels.astype(float), item.size, seed=0)
        assert item.score == pytest.approx(roc_auc(labels, reference.predict_proba(rows)), rel=1e-9, abs=1e-10)


def test_select_size():
    candidates = [
        SizeCandidate(TreeSize(10, 1), 1000, 0.80),
        SizeCandidate(TreeSize(20, 1), 2000, 0.90),
        SizeCandidate(TreeSize(30, 1), 3000, 0.90),
        SizeCandidate(TreeSize(40, 1), 4000, 0.95),
    ]
    assert select_size(candidates) is candidates[3]
    assert select_size(candidates, 3999) is candidates[1]
    assert select_size(candidates, 2000) is candidates[1]
    assert select_size(candidates, 1999) is candidates[0]
    assert select_size(candidates, 10) is candidates[0]
