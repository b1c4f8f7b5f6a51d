from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.tabular.metrics import roc_auc
from ganmc_lightning.tabular.tree_size import (
    SizeCandidate,
    TreeSize,
    choose,
    grow,
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


@pytest.mark.parametrize("fewest", [1, 7])
def test_every_size_answers_as_a_tree_grown_to_it(training_set, fewest):
    rows, targets = training_set
    held_out = np.random.default_rng(1).normal(size=(300, 4))
    grown = grow(rows, targets, TreeSize(400, fewest), seed=0)
    for size, answers in zip(SIZES, staged_predict_proba(grown, held_out, SIZES), strict=True):
        alone = grow(rows, targets, TreeSize(min(size, 400), fewest), seed=0)
        np.testing.assert_allclose(answers, alone.predict_proba(held_out), rtol=1e-9, atol=1e-12)


def test_bytes_are_those_of_a_tree_grown_to_the_size(training_set):
    grown = grow(*training_set, TreeSize(400, 1), seed=0)
    for size, estimated in zip(SIZES[:5], staged_sizes(grown, SIZES[:5]), strict=True):
        actual = len(pickle.dumps(grow(*training_set, TreeSize(size, 1), seed=0)))
        assert abs(estimated - actual) <= 32  # small numbers take fewer bytes


def test_a_tree_uses_all_rows(training_set):
    rows, targets = training_set
    tree = DecisionTreeRegressor(max_leaf_nodes=30, random_state=0).fit(rows, targets)
    grown = grow(rows, targets, TreeSize(30, 1), seed=0)
    np.testing.assert_array_equal(grown.regressor.predict(rows), tree.predict(rows))


def test_scores_by_size():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3))
    labels = (rows[:, 0] + rng.normal(size=500) > 0).astype(np.int64)
    grown = grow(rows, labels.astype(float), TreeSize(300, 5), seed=0)
    scored = staged_scores(grown, (rows, labels), (2, 50), roc_auc)
    assert [item.capacity for item in scored] == [TreeSize(2, 5), TreeSize(50, 5)]
    for item in scored:
        alone = grow(rows, labels.astype(float), item.capacity, seed=0)
        assert item.score == pytest.approx(roc_auc(labels, alone.predict_proba(rows)), rel=1e-9, abs=1e-10)


def test_choose():
    candidates = [
        SizeCandidate(TreeSize(10, 1), 1000, 0.80),
        SizeCandidate(TreeSize(20, 1), 2000, 0.90),
        SizeCandidate(TreeSize(30, 1), 3000, 0.90),
        SizeCandidate(TreeSize(40, 1), 4000, 0.95),
    ]
    assert choose(candidates) is candidates[3]
    assert choose(candidates, 3999) is candidates[1]
    assert choose(candidates, 2000) is candidates[1]
    assert choose(candidates, 1999) is candidates[0]
    assert choose(candidates, 10) is candidates[0]
