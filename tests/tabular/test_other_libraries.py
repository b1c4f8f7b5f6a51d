"""Students and teachers of XGBoost and LightGBM; skipped where these are not installed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import DistilledClassifier, DistilledRegressor

QUIET = {"xgboost": {"verbosity": 0}, "lightgbm": {"verbose": -1}}
FOREST = RandomForestClassifier(20, random_state=0)
FIXED = {"teacher_labels": "in_bag", "label_weight": 0, "random_state": 0}


@pytest.fixture(params=[("xgboost", "XGB"), ("lightgbm", "LGBM")], ids=["xgboost", "lightgbm"])
def library(request):
    """Return a function that creates a model of the library."""
    package, prefix = request.param
    module = pytest.importorskip(package)

    def make(kind, **parameters):
        return getattr(module, prefix + kind)(
            **{"n_estimators": 20, "max_depth": 3, "n_jobs": 1, **QUIET[package], **parameters}
        )

    return make


def cross_entropy(targets, probabilities):
    return -np.mean(np.sum(targets * np.log(probabilities), axis=1))


def test_a_classifier_minimizes_the_cross_entropy_of_soft_targets(binary, library):
    X, y = binary
    large = {"n_estimators": 100, "max_depth": 6}
    model = DistilledClassifier(FOREST, library("Classifier", **large), **FIXED).fit(X, y)
    targets = model.teacher_.predict_proba(X)
    hard = library("Classifier", **large).fit(X, y)
    assert cross_entropy(targets, model.predict_proba(X)) < cross_entropy(targets, hard.predict_proba(X)) - 0.01


def test_three_classes_within_a_budget(three, library):
    X, y = three
    model = DistilledClassifier(FOREST, library("Classifier"), max_nodes=1000, **FIXED).fit(X, y)
    assert model.profile_.student.trees == 60
    assert 300 < model.profile_.student.nodes <= 1000
    assert model.score(X, y) > 0.7
    with pytest.raises(ConfigurationError, match=r"max_nodes: got 9, expected at least \d+, the smallest student"):
        DistilledClassifier(FOREST, library("Classifier"), max_nodes=9, **FIXED).fit(X, y)


def test_a_regressor_of_probabilities(binary, three, library):
    model = DistilledClassifier(FOREST, library("Regressor"), **FIXED).fit(*binary)
    assert model.score(*binary) > 0.8
    assert np.allclose(model.predict_proba(binary[0]).sum(axis=1), 1)


def test_a_classifier_as_teacher(binary, library):
    X, y = binary
    X = X.copy()
    X[::9, 3] = np.nan
    for teacher in (library("Classifier"), library("Classifier").fit(X, y)):
        model = DistilledClassifier(teacher, "boosting", max_nodes=60, label_weight=0, random_state=0).fit(X, y)
        assert model.chosen_.teacher_labels in ("in_bag", "cross_fit")
        assert model.profile_.teacher.trees == 20
        assert model.score(X, y) > 0.75


def test_regressors(library):
    random = np.random.default_rng(0)
    X = random.normal(size=(600, 4))
    y = X[:, 0] ** 2 + X[:, 1]
    model = DistilledRegressor(library("Regressor"), library("Regressor", n_estimators=60), **FIXED).fit(X, y)
    assert model.score(X, y) > 0.8
