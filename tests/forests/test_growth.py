from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.forests.growth import (
    Capacity,
    SizedScore,
    answers_by_size,
    bytes_by_size,
    choose,
    grow,
    scores_by_size,
)
from ganmc_lightning.forests.scores import auc_of

SIZES = (2, 3, 10, 25, 60, 500)


@pytest.fixture(params=[1, 3], ids=["two classes", "three classes"])
def lesson(request):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 4)).round(1)  # ties between splits
    logits = np.stack([rows[:, 0] * rows[:, 1], rows[:, 2], -rows[:, 3]], axis=1)
    targets = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rows, targets[:, 0] if request.param == 1 else targets


@pytest.mark.parametrize("fewest", [1, 7])
def test_every_size_answers_as_a_tree_grown_to_it(lesson, fewest):
    rows, targets = lesson
    held_out = np.random.default_rng(1).normal(size=(300, 4))
    grown = grow(rows, targets, Capacity(400, fewest), seed=0)
    for size, answers in zip(SIZES, answers_by_size(grown, held_out, SIZES), strict=True):
        alone = grow(rows, targets, Capacity(min(size, 400), fewest), seed=0)
        np.testing.assert_allclose(answers, alone.predict_proba(held_out), rtol=1e-9, atol=1e-12)


def test_bytes_are_those_of_a_tree_grown_to_the_size(lesson):
    grown = grow(*lesson, Capacity(400, 1), seed=0)
    for size, estimated in zip(SIZES[:5], bytes_by_size(grown, SIZES[:5]), strict=True):
        actual = len(pickle.dumps(grow(*lesson, Capacity(size, 1), seed=0)))
        assert abs(estimated - actual) <= 32  # small numbers take fewer bytes


def test_a_tree_uses_all_rows(lesson):
    rows, targets = lesson
    tree = DecisionTreeRegressor(max_leaf_nodes=30, random_state=0).fit(rows, targets)
    grown = grow(rows, targets, Capacity(30, 1), seed=0)
    np.testing.assert_array_equal(grown.regressor.predict(rows), tree.predict(rows))


def test_scores_by_size():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3))
    labels = (rows[:, 0] + rng.normal(size=500) > 0).astype(np.int64)
    grown = grow(rows, labels.astype(float), Capacity(300, 5), seed=0)
    scored = scores_by_size(grown, (rows, labels), (2, 50), auc_of)
    assert [item.capacity for item in scored] == [Capacity(2, 5), Capacity(50, 5)]
    for item in scored:
        alone = grow(rows, labels.astype(float), item.capacity, seed=0)
        assert item.score == pytest.approx(auc_of(labels, alone.predict_proba(rows)), rel=1e-9, abs=1e-10)


def test_choose():
    candidates = [
        SizedScore(Capacity(10, 1), 1000, 0.80),
        SizedScore(Capacity(20, 1), 2000, 0.90),
        SizedScore(Capacity(30, 1), 3000, 0.90),
        SizedScore(Capacity(40, 1), 4000, 0.95),
    ]
    assert choose(candidates) is candidates[3]
    assert choose(candidates, 3999) is candidates[1]
    assert choose(candidates, 2000) is candidates[1]
    assert choose(candidates, 1999) is candidates[0]
    assert choose(candidates, 10) is candidates[0]
