"""Fitted models of every kind that can be exported, and rows that lie on their thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.forests import StudentClassifier
from ganmc_lightning.forests.cost import trees_of

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
    """Rows with a value at, just below or just above the threshold of a node, in float32: where rounding shows."""
    rng = np.random.default_rng(1)
    rows = []
    for tree in trees_of(model):
        inner = np.flatnonzero(tree.tree_.children_left >= 0)[:60]
        for node in inner:
            for neighbour in (-np.inf, 0, np.inf):
                row = table[0][rng.integers(500)].astype(np.float32)
                value = np.float32(tree.tree_.threshold[node])
                row[tree.tree_.feature[node]] = value if neighbour == 0 else np.nextafter(value, np.float32(neighbour))
                rows.append(row)
    return np.array(rows)
