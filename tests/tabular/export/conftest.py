"""Fitted models of every type that can be exported, and samples on their thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from ganmc_lightning.tabular import StudentClassifier
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
