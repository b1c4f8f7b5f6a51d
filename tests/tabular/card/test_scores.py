from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import brier_score_loss, recall_score, roc_auc_score, root_mean_squared_error

from ganmc_lightning.tabular.card import scores as scores_module
from ganmc_lightning.tabular.card.scores import compute_test_scores


@pytest.fixture(scope="module")
def outputs():
    random = np.random.default_rng(0)
    y = random.integers(2, size=600)
    models = {}
    for name, noise in (("teacher", 1.0), ("student", 1.1), ("plain", 3.0)):
        positive = norm.cdf(y - 0.5 + noise * random.normal(size=600))
        models[name] = np.stack([1 - positive, positive], axis=1)
    return y, models


def test_metrics_equal_scikit_learn(outputs):
    y, models = outputs
    scores = compute_test_scores(np.array(["a", "b"])[y], models, np.array(["a", "b"]), seed=0)
    for name, values in models.items():
        metrics = scores.metrics[name]
        assert metrics["auc"] == pytest.approx(roc_auc_score(y, values[:, 1]))
        assert metrics["brier"] == pytest.approx(brier_score_loss(y, values[:, 1]))
        recalls = recall_score(y, values.argmax(axis=1), average=None)
        assert [group.scores[name] for group in scores.groups] == pytest.approx(recalls.tolist())
    assert [group.name for group in scores.groups] == ["a", "b"]


def test_intervals(outputs):
    y, models = outputs
    scores = compute_test_scores(y, models, np.array([0, 1]), seed=0)
    for interval in scores.intervals.values():
        assert interval.low < interval.value < interval.high
    assert scores.differences["plain"].low > 0
    # Hanley and McNeil 1982
    auc, n = scores.intervals["student"].value, (y == 1).sum()
    variance = auc * (1 - auc) + (n - 1) * (auc / (2 - auc) + 2 * auc**2 / (1 + auc) - 2 * auc**2)
    error = np.sqrt(variance / (n * (y == 0).sum()))
    width = scores.intervals["student"].high - scores.intervals["student"].low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.2)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_intervals_are_percentiles_of_the_weighted_auc_of_scikit_learn(n_classes, monkeypatch):
    monkeypatch.setattr(scores_module, "RESAMPLES", 20)
    random = np.random.default_rng(0)
    y = random.integers(n_classes, size=300)
    student, plain = (random.dirichlet(np.ones(n_classes), 300) + noise * np.eye(n_classes)[y] for noise in (0.5, 0.1))
    student = (10 * student).round() + 1  # with ties
    models = {
        "student": student / student.sum(axis=1, keepdims=True),
        "plain": plain / plain.sum(axis=1, keepdims=True),
    }
    sorts = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *given, **named: sorts.append(given) or argsort(*given, **named))
    scores = compute_test_scores(y, models, np.arange(n_classes), seed=4)
    assert len(sorts) < 20  # not for each resample

    resampling = np.random.default_rng(4)
    areas = {name: [] for name in models}
    for _ in range(20):
        counts = np.zeros(300)
        for code in range(n_classes):
            rows = np.flatnonzero(y == code)
            counts[rows] = np.bincount(resampling.integers(len(rows), size=len(rows)), minlength=len(rows))
        for name, values in models.items():
            given = values[:, 1] if n_classes == 2 else values
            areas[name].append(roc_auc_score(y, given, multi_class="ovr", sample_weight=counts))
    for name, found in areas.items():
        assert scores.intervals[name][1:] == pytest.approx(np.percentile(found, [2.5, 97.5]), rel=1e-9)
    low, high = np.percentile(np.subtract(areas["student"], areas["plain"]), [2.5, 97.5])
    assert scores.differences["plain"][1:] == pytest.approx((low, high), rel=1e-9)


def test_intervals_with_rare_classes():
    """A resample without strata lacks one of the eight rare classes in nearly every case."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(10), [200, 180, *[2] * 8])
    models = {}
    for name, noise in (("student", 0.3), ("plain", 3.0)):
        values = np.exp(np.eye(10)[y] * 2 + noise * random.normal(size=(len(y), 10)))
        models[name] = values / values.sum(axis=1, keepdims=True)
    scores = compute_test_scores(y, models, np.arange(10), seed=0)
    for interval in (*scores.intervals.values(), *scores.differences.values()):
        assert interval.low <= interval.value <= interval.high
    assert scores.differences["plain"].low > 0


def test_difference_of_equal_models_is_zero(outputs):
    y, models = outputs
    scores = compute_test_scores(y, {**models, "teacher": models["student"]}, np.array([0, 1]), seed=0)
    assert scores.differences["teacher"] == (0, 0, 0)


def test_reliability_of_perfect_calibration():
    random = np.random.default_rng(0)
    positive = random.uniform(size=20_000)
    y = (random.uniform(size=20_000) < positive).astype(int)
    scores = compute_test_scores(y, {"student": np.stack([1 - positive, positive], axis=1)}, np.array([0, 1]), seed=0)
    confidence, accuracy, _ = np.array(scores.reliability["student"]).T
    np.testing.assert_allclose(accuracy, confidence, atol=0.03)


def test_regression():
    random = np.random.default_rng(0)
    y = random.normal(size=200)
    values = y + 0.1 * random.normal(size=200)
    scores = compute_test_scores(y, {"student": values}, np.empty(0), seed=0)
    assert scores.score == "r2"
    lowest = y <= np.quantile(y, 0.25)
    assert scores.groups[0].scores["student"] == pytest.approx(root_mean_squared_error(y[lowest], values[lowest]))
    assert sum(group.rows for group in scores.groups) == 200
