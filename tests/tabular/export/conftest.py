"""Fitted models of every type that can be exported, and samples on their thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from ganmc_lightning.tabular import StudentClassifier
from ganmc_lightning.tabular.export.boosting import flatten_boosting
from ganmc_lightning.tabular.profiling import trees_of

KINDS = {
    "student of two classes": lambda X, y, Y: StudentClassifier(
        DecisionTreeRegressor(random_state=0).fit(X, Y[:, 0]), [0, 1]
    ),
    "forest student": lambda X, y, Y: StudentClassifier(
        RandomForestRegressor(5, random_state=0).fit(X, Y[:, 0]), ["no", "yes"]
    ),
    "student of three classes": lambda X, y, Y: StudentClassifier(
        DecisionTreeRegressor(max_leaf_nodes=60, random_state=0).fit(X, Y), ["a", "bb", "ccc"]
    ),
    "tree": lambda X, y, Y: DecisionTreeClassifier(random_state=0).fit(X, y),
    "forest": lambda X, y, Y: RandomForestClassifier(6, random_state=0).fit(X, y),
    "extra trees": lambda X, y, Y: ExtraTreesClassifier(6, random_state=0).fit(X, y),
    "regression trees": lambda X, y, Y: ExtraTreesRegressor(4, random_state=0).fit(X, Y),
}

MISSING = {
    "tree": lambda X, y: DecisionTreeClassifier(random_state=0).fit(X, y),
    "forest": lambda X, y: RandomForestClassifier(6, max_depth=6, random_state=0).fit(X, np.array(["a", "b", "c"])[y]),
    "extra tree": lambda X, y: ExtraTreeClassifier(random_state=0).fit(X, y),
    "extra trees": lambda X, y: ExtraTreesClassifier(6, random_state=0).fit(X, y > 0),
    "regression tree": lambda X, y: DecisionTreeRegressor(random_state=0).fit(X, np.stack([y, -y], axis=1)),
    "regression forest": lambda X, y: RandomForestRegressor(4, random_state=0).fit(X, y),
    "extra regression tree": lambda X, y: ExtraTreeRegressor(random_state=0).fit(X, y),
    "extra regression trees": lambda X, y: ExtraTreesRegressor(4, random_state=0).fit(X, y),
}
"""Models fitted to missing values; in one column only NaN separates the classes."""


@pytest.fixture(scope="package")
def missing_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)).astype(np.float32)
    y = missing_classes(X)
    X[rng.random(X.shape) < 0.15] = np.nan
    X[:, 2][(y == 1) & (rng.random(400) < 0.6)] = np.nan
    return X


def missing_classes(X):
    """Compute the classes before values are removed."""
    return (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int) + (X[:, 3] > 1)


@pytest.fixture(scope="package", params=MISSING)
def missing_model(request, missing_rows):
    y = missing_classes(np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32))
    return MISSING[request.param](missing_rows, y)


@pytest.fixture(scope="package")
def table():
    X, y = make_classification(500, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0)
    rng = np.random.default_rng(0)
    Y = rng.dirichlet((1, 1, 1), 500) + np.eye(3)[y]
    return X, y, Y / Y.sum(axis=1, keepdims=True)


@pytest.fixture(scope="package", params=KINDS)
def model(request, table):
    return KINDS[request.param](*table)


@pytest.fixture(scope="package")
def edges(model, table):
    """Samples with a value at, just below or just above the threshold of a node, in float32, to reveal rounding."""
    rng = np.random.default_rng(1)
    rows = []
    for tree in trees_of(model):
        inner = np.flatnonzero(tree.tree_.children_left >= 0)[:60]
        for node in inner:
            for neighbor in (-np.inf, 0, np.inf):
                row = table[0][rng.integers(500)].astype(np.float32)
                value = np.float32(tree.tree_.threshold[node])
                row[tree.tree_.feature[node]] = value if neighbor == 0 else np.nextafter(value, np.float32(neighbor))
                rows.append(row)
    return np.array(rows)


def _mixed_table(seed=0, n=600):
    """Rows with missing values; column 1 has categories 0 to 4, column 2 multiples of 3 up to 117."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).round(2)  # no float32, and separated by steps of 16 bits
    X[:, 1] = rng.integers(0, 5, n)
    X[:, 2] = 3 * rng.integers(0, 40, n)
    score = X[:, 0] + (X[:, 2] % 9) / 3 + (X[:, 1] == 2)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 3][(score > 2) & (rng.random(n) < 0.6)] = np.nan  # only NaN tells the classes apart here
    return X, score


def _fit(kind, target, categories=None, weighted=False, **extra):
    X, score = _mixed_table()
    model = kind(max_iter=8, max_leaf_nodes=12, categorical_features=categories, random_state=0, **extra)
    return model.fit(X, target(score), sample_weight=np.random.default_rng(1).random(600) if weighted else None)


def _three(score):
    return np.array(["a", "b", "c"])[np.digitize(score, [0.5, 1.5])]


BOOSTED = {
    "binary": lambda: _fit(HistGradientBoostingClassifier, lambda score: score > 1),
    "binary, categories": lambda: _fit(HistGradientBoostingClassifier, lambda score: score > 1, [1, 2]),
    "binary, weights": lambda: _fit(HistGradientBoostingClassifier, lambda score: score > 1, [2], weighted=True),
    "multiclass": lambda: _fit(HistGradientBoostingClassifier, _three),
    "multiclass, categories": lambda: _fit(HistGradientBoostingClassifier, _three, [1, 2]),
    "nine classes": lambda: _fit(HistGradientBoostingClassifier, lambda score: np.digitize(score, np.arange(8) / 2)),
    "regression": lambda: _fit(HistGradientBoostingRegressor, lambda score: score),
    "regression, categories": lambda: _fit(HistGradientBoostingRegressor, lambda score: score, [1, 2], weighted=True),
    "quantile": lambda: _fit(
        HistGradientBoostingRegressor, lambda score: 1e4 + score, [1], loss="quantile", quantile=0.8
    ),
    "two outputs": lambda: MultiOutputRegressor(
        HistGradientBoostingRegressor(max_iter=5, categorical_features=[2])
    ).fit(_mixed_table()[0], np.stack([_mixed_table()[1], _mixed_table()[1] ** 2], axis=1)),
    "one leaf": lambda: HistGradientBoostingRegressor(max_iter=2).fit(np.ones((30, 4)), np.arange(30.0)),
}


@pytest.fixture(scope="package")
def mixed_table():
    return _mixed_table


@pytest.fixture(scope="package")
def boosted_kinds():
    """Functions that fit a boosted model, by kind."""
    return BOOSTED


@pytest.fixture(scope="package", params=BOOSTED)
def boosted(request):
    return BOOSTED[request.param]()


@pytest.fixture(scope="package")
def boosted_rows():
    """Function that returns table rows, unknown categories, and float64 values on and next to every threshold."""

    def rows_of(model):
        X, _ = _mixed_table(seed=1)
        X[:40, 1:3] = np.random.default_rng(0).choice([-1, 0.5, 7, 255, 256, 1e9], (40, 2))
        near = [X]
        flat = flatten_boosting(model)
        for threshold, feature in zip(flat.thresholds, flat.features, strict=True):
            block = X[:3].copy()
            block[:, feature] = [threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf)]
            near.append(block)
        rows = np.concatenate(near)
        return rows[~np.isinf(rows).any(axis=1)]

    return rows_of


@pytest.fixture(scope="package")
def boosted_students():
    """Students of two and three classes, and the rows without missing values they were fitted to."""
    X, score = _mixed_table()
    X = np.nan_to_num(X)
    p = 1 / (1 + np.exp(-3 * score))
    Y = np.stack([1 - p, p / 2, p / 2], axis=1) + np.eye(3)[np.digitize(score, [0.5, 1.5])]
    regressor = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=8, learning_rate=0.4, random_state=0)
    several = MultiOutputRegressor(regressor).fit(X, Y / Y.sum(axis=1, keepdims=True))
    models = {
        "two": StudentClassifier(
            HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=8, learning_rate=0.4).fit(X, p * 1.2 - 0.1),
            ["no", "yes"],
        ),
        "three": StudentClassifier(several, [3, 5, 7]),
    }
    return models, X


class CodesStudent(StudentClassifier):
    """A student whose inner model is a classifier of integers."""

    def predict_proba(self, X):
        return self.regressor.predict_proba(X)


CODES = {
    "boosting, two classes": (HistGradientBoostingClassifier(max_iter=8, categorical_features=[1]), ["no", "yes"]),
    "boosting, three classes": (HistGradientBoostingClassifier(max_iter=8, categorical_features=[1]), ["a", "bb", "c"]),
    "tree": (DecisionTreeClassifier(max_leaf_nodes=20, random_state=0), ["a", "bb", "c"]),
    "forest": (RandomForestClassifier(4, max_depth=4, random_state=0), ["no", "yes"]),
}


@pytest.fixture(scope="package", params=CODES)
def codes_student(request):
    """Students whose inner model is a classifier of integers, fitted to missing values and soft targets."""
    classifier, classes = CODES[request.param]
    X, score = _mixed_table()
    codes = np.digitize(score, [0.5, 1.5][: len(classes) - 1])
    other = (codes + 1) % len(classes)
    weights = np.concatenate([np.full(600, 0.8), np.full(600, 0.2)])
    return CodesStudent(
        classifier.fit(np.concatenate([X, X]), np.concatenate([codes, other]), sample_weight=weights), classes
    )
