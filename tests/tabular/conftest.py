"""Tabular data on which a forest is more accurate than a small tree."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification


def make_rows(classes=2, n=400, seed=0):
    """Samples of 6 features in units far from z-scores, and labels."""
    X, y = make_classification(
        n, 6, n_informative=5, n_redundant=0, n_classes=classes, class_sep=1.2, flip_y=0.05, random_state=seed
    )
    return X * np.array([100.0, 1, 0.01, 1, 10, 1]) + np.array([5000.0, 0, 0, 7, 0, 0]), y


@pytest.fixture(scope="session")
def binary():
    return make_rows()


@pytest.fixture(scope="session")
def three():
    return make_rows(classes=3)
