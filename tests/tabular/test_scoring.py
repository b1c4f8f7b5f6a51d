"""Scores of students on validation rows, and the choice by them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, r2_score, roc_auc_score
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import DistilledClassifier, DistilledRegressor
from ganmc_lightning.tabular.distilled import SCORINGS
from ganmc_lightning.tabular.student import to_probabilities
from ganmc_lightning.tabular.tasks import ClassificationTask, RegressionTask

TREES = [DecisionTreeRegressor(max_depth=depth, random_state=0) for depth in (1, 3, 5, 9)]


def expected_score(scoring, y, probabilities, weights=None):
    """Compute a score with scikit-learn."""
    values = probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
    if scoring == "roc_auc":
        return roc_auc_score(y, values, multi_class="ovr", sample_weight=weights)
    if scoring == "average_precision":
        return average_precision_score(y, values, sample_weight=weights)
    if scoring == "neg_log_loss":
        return -log_loss(y, probabilities, sample_weight=weights)
    return accuracy_score(y, probabilities.argmax(axis=1), sample_weight=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_scores_are_those_of_scikit_learn(scoring, n_classes, weighted):
    random = np.random.default_rng(0)
    y = random.integers(n_classes, size=80)
    probabilities = random.dirichlet(np.ones(n_classes), size=80) + 0.4 * np.eye(n_classes)[y]
    probabilities = (probabilities / 1.4).round(2) + 0.01  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    weights = random.random(80) if weighted else None
    task = ClassificationTask(np.arange(n_classes), y, None, scoring)
    assert task.score(y, probabilities, weights) == pytest.approx(expected_score(scoring, y, probabilities, weights))


def test_values_are_scored_by_r2():
    random = np.random.default_rng(0)
    y = random.normal(size=80)
    predictions, weights = 0.7 * y + random.normal(size=80), random.random(80)
    task = RegressionTask(y)
    assert task.score(y, predictions, None) == pytest.approx(r2_score(y, predictions))
    assert task.score(y, predictions, weights) == pytest.approx(r2_score(y, predictions, sample_weight=weights))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_the_student_of_the_best_score_on_the_rows_of_the_user_is_chosen(binary, three, scoring, n_classes, weighted):
    X, y = binary if n_classes == 2 else three
    weights = np.random.default_rng(0).random(150) if weighted else None
    teacher = RandomForestClassifier(10, random_state=0).fit(X[:250], y[:250])
    model = DistilledClassifier(teacher, TREES, scoring=scoring, teacher_labels="in_bag", label_weight=0)
    model.fit(X[:250], y[:250], X_val=X[250:], y_val=y[250:], sample_weight_val=weights)
    targets, expected = teacher.predict_proba(X[:250]), {}
    for tree in TREES:
        outputs = to_probabilities(clone(tree).fit(X[:250], targets).predict(X[250:]))  # rounded equally, for ties
        expected[tree.max_depth] = expected_score(scoring, y[250:], outputs, weights)
    scores = {candidate.estimator.max_depth: candidate.score for candidate in model.selection_}
    assert scores == pytest.approx(expected)
    assert model.chosen_.estimator.max_depth == max(expected, key=expected.__getitem__)
    assert model.student_.get_depth() == model.chosen_.estimator.max_depth


def test_the_best_student_depends_on_the_score(binary):
    """Leaves of one class have a large log loss; accuracy does not depend on how small a probability is."""
    X, y = binary
    chosen = {}
    for scoring in ("neg_log_loss", "accuracy"):
        model = DistilledClassifier(RandomForestClassifier(10), TREES, scoring=scoring, label_weight=1, random_state=0)
        chosen[scoring] = model.fit(X[:250], y[:250], X_val=X[250:], y_val=y[250:]).chosen_.estimator.max_depth
    assert chosen["neg_log_loss"] < chosen["accuracy"]


def test_the_regressor_of_the_best_score_on_the_rows_of_the_user_is_chosen(binary):
    X = binary[0]
    y = X[:, 1] * X[:, 3] + np.random.default_rng(0).normal(size=400)
    weights = np.random.default_rng(1).random(150)
    teacher = RandomForestRegressor(10, random_state=0).fit(X[:250], y[:250])
    model = DistilledRegressor(teacher, TREES, teacher_labels="in_bag", label_weight=0)
    model.fit(X[:250], y[:250], X_val=X[250:], y_val=y[250:], sample_weight_val=weights)
    expected = {}
    for tree in TREES:
        outputs = clone(tree).fit(X[:250], teacher.predict(X[:250])).predict(X[250:])
        expected[tree.max_depth] = r2_score(y[250:], outputs, sample_weight=weights)
    assert {item.estimator.max_depth: item.score for item in model.selection_} == pytest.approx(expected)
    assert model.chosen_.estimator.max_depth == max(expected, key=expected.__getitem__)


@pytest.mark.parametrize("scoring", ["log_loss", "f1", None])
def test_unknown_scores_are_refused(binary, scoring):
    message = f"scoring: got {scoring!r}, expected one of roc_auc, average_precision, neg_log_loss, accuracy"
    with pytest.raises(ConfigurationError, match=message):
        DistilledClassifier(RandomForestClassifier(2), "tree", scoring=scoring).fit(*binary)
