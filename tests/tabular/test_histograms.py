from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from ganmc_lightning.tabular.folds import stratified_folds
from ganmc_lightning.tabular.histograms import drop_bin_thresholds, round_to_quantiles
from ganmc_lightning.tabular.metrics import binary_auc
from ganmc_lightning.tabular.soft_targets import mix_labels, repeat_by_class, teacher_class_weights


def test_trees_divide_rounded_and_original_values_equally():
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 3))
    X[::9, 0] = np.nan
    y = (np.nan_to_num(X[:, 0]) + X[:, 1] > 0).astype(int)
    rounded = round_to_quantiles(X)
    assert max(len(np.unique(column[~np.isnan(column)])) for column in rounded.T) <= 255
    weights = random.uniform(size=2000)
    model = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(rounded, y, weights)
    expected = model.predict_proba(rounded)
    np.testing.assert_array_equal(drop_bin_thresholds(model).predict_proba(X), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_equals_that_of_scikit_learn(weighted):
    random = np.random.default_rng(0)
    y, values = random.integers(0, 2, 300).astype(bool), random.integers(0, 40, 300) / 40
    weights = random.uniform(size=300) if weighted else None
    assert binary_auc(y, values, weights) == pytest.approx(roc_auc_score(y, values, sample_weight=weights), rel=1e-12)


def test_repeated_rows_have_the_cross_entropy_of_soft_targets():
    random = np.random.default_rng(0)
    targets, logs = random.dirichlet([1, 1, 1], 50), np.log(random.dirichlet([1, 1, 1], 50))
    rows, codes, weights = repeat_by_class(np.arange(50)[:, None], targets, None)
    loss = -(weights * logs[rows[:, 0], codes]).sum()
    assert loss == pytest.approx(-(targets * logs).sum(), rel=5e-3)  # weights below 0.001 are omitted


def test_every_class_occurs():
    _, codes, _ = repeat_by_class(np.zeros((2, 1)), np.array([[1.0, 0, 0], [0, 1, 0]]), None)
    assert set(codes) == {0, 1, 2}


def test_class_weights_apply_to_labels_only():
    targets, weights = mix_labels(np.array([0, 1]), np.full((2, 2), 0.5), 0.5, np.array([1.0, 3.0]))
    np.testing.assert_allclose(weights, [1, 2])
    np.testing.assert_allclose(targets, [[0.75, 0.25], [0.125, 0.875]])


def test_class_weights_of_a_wrapped_binary_classifier_are_no_weights_of_the_labels():
    wrapped = OneVsRestClassifier(LogisticRegression(class_weight={0: 1, 1: 3}))
    for labels in (["a", "b", "c"], [0, 1, 2]):
        assert teacher_class_weights(wrapped, np.array(labels)) is None
    np.testing.assert_allclose(teacher_class_weights(wrapped, np.array([0, 1])), [0.5, 1.5])
    given = make_pipeline(LogisticRegression(class_weight={1: 4}))
    np.testing.assert_allclose(teacher_class_weights(given, np.array([0, 1, 2])), [0.5, 2, 0.5])


def test_folds_are_stratified_and_repeatable():
    codes = np.repeat([0, 1], [90, 10])
    folds = stratified_folds(codes, 5, 0)
    assert np.bincount(folds[90:]).tolist() == [2] * 5
    np.testing.assert_array_equal(folds, stratified_folds(codes, 5, 0))
    assert not np.array_equal(folds, stratified_folds(codes, 5, 1))
