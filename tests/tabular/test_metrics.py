from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from ganmc_lightning.cards.calibration import calibration_error
from ganmc_lightning.tabular.metrics import (
    auc_influence,
    classification_metrics,
    exceeds_standard_error,
    r2_influence,
    roc_auc,
)


def test_two_classes_by_hand():
    labels = np.array([0, 0, 1, 1])
    second = np.array([0.1, 0.6, 0.4, 0.8])
    scores = classification_metrics(labels, np.column_stack([1 - second, second]))
    assert scores["auc"] == 3 / 4  # one of four pairs is in the wrong order
    assert scores["accuracy"] == 1 / 2
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.8]).mean(), rel=1e-9, abs=1e-10)
    # confidences 0.9 and 0.8 are correct, in separate bins; the two of 0.6 share a bin and are wrong
    assert scores["ece"] == pytest.approx((0.1 + 0.2 + 2 * 0.6) / 4, rel=1e-9, abs=1e-10)


def test_three_classes_by_hand():
    labels = np.array([0, 1, 2, 2])
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.35, 0.25]])
    scores = classification_metrics(labels, probabilities)
    assert scores["auc"] == pytest.approx((1 + 2 / 3 * 0 + 3 / 3 + 1) / 3, rel=1e-9, abs=1e-10)
    assert scores["accuracy"] == 3 / 4


def test_float32_probabilities_and_a_class_that_does_not_occur():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=4).astype(np.float32).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = classification_metrics(labels, probabilities)
    areas = [roc_auc_score(labels == code, probabilities[:, code]) for code in (0, 1)]
    assert scores["auc"] == roc_auc(labels, probabilities) == pytest.approx(np.mean(areas), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weighted_auc_is_that_of_scikit_learn(n_classes):
    random = np.random.default_rng(0)
    labels, weights = random.integers(n_classes, size=60), random.random(60)
    probabilities = random.dirichlet(np.ones(n_classes), size=60).round(1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    values = probabilities[:, 1] if n_classes == 2 else probabilities
    expected = roc_auc_score(labels, values, multi_class="ovr", sample_weight=weights)
    assert roc_auc(labels, probabilities, weights) == pytest.approx(expected)


def test_calibrated_probabilities_have_zero_error():
    rng = np.random.default_rng(0)
    second = rng.uniform(size=200_000)
    labels = (rng.uniform(size=200_000) < second).astype(np.int64)
    probabilities = np.column_stack([1 - second, second])
    assert calibration_error(labels, probabilities) < 0.005
    sharper = np.clip(2 * second - 0.5, 0, 1)
    # confidence is 2 q - 1/2 (at most 1) instead of q = max(p, 1 - p): too high by q - 1/2 up to 3/4, then by 1 - q
    assert calibration_error(labels, np.column_stack([1 - sharper, sharper])) == pytest.approx(1 / 8, abs=0.005)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_influence_is_the_effect_of_omitting_a_row(n_classes):
    """The jackknife: omitting row i of N changes the AUC by its influence divided by N - 1, up to terms of 1 / N**2."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(300) % n_classes)
    probabilities = random.dirichlet(np.ones(n_classes), 300) + 0.3 * np.eye(n_classes)[labels]
    probabilities = (20 * probabilities / 1.3).round() + 1  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    score = roc_auc(labels, probabilities)
    effects = [300 * (score - roc_auc(np.delete(labels, i), np.delete(probabilities, i, axis=0))) for i in range(50)]
    np.testing.assert_allclose(auc_influence(labels, probabilities)[:50], effects, atol=0.02)


def test_influence_on_r2_is_the_effect_of_omitting_a_row():
    random = np.random.default_rng(0)
    values = random.normal(size=500)
    predictions = 0.7 * values + 0.4 * random.normal(size=500)
    score = r2_score(values, predictions)
    effects = [499 * (score - r2_score(np.delete(values, i), np.delete(predictions, i))) for i in range(500)]
    influence = r2_influence(values, predictions)
    np.testing.assert_allclose(influence, effects, atol=0.04 * np.abs(effects).max())
    assert influence.mean() == pytest.approx(0, abs=1e-12)


def test_standard_error_is_the_deviation_of_resampled_scores():
    random = np.random.default_rng(0)
    values = random.normal(size=400)
    predictions = [scale * values + 0.4 * random.normal(size=400) for scale in (0.7, 0.6)]
    resamples = [random.integers(400, size=400) for _ in range(1000)]
    scores = [[r2_score(values[rows], p[rows]) for p in predictions] for rows in resamples]
    error = np.std(np.diff(scores))
    influence = r2_influence(values, predictions[1]) - r2_influence(values, predictions[0])
    assert exceeds_standard_error(1.2 * error, influence)
    assert not exceeds_standard_error(0.8 * error, influence)
