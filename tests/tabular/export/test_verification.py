from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import StudentClassifier
from ganmc_lightning.tabular.export.verification import (
    Predictions,
    accepts_missing,
    check_fitted,
    comparable,
    labels_differ,
    predict_with,
    verify,
)

TARGET = Path("model.c")


@pytest.fixture
def tree():
    X = np.arange(6.0)[:, None]
    return DecisionTreeClassifier(random_state=0).fit(X, ["a", "a", "b", "b", "c", "c"])


def test_an_equal_export_passes(tree):
    verify(TARGET, tree, lambda rows: predict_with(tree, rows), 0)


def test_one_threshold_too_high_by_one_float32(tree):
    """The smallest possible error: only samples on the neighbor take another branch."""
    threshold = np.nextafter(np.float32(1.5), np.float32(2))

    def export(rows):
        return predict_with(tree, np.where(rows == threshold, np.float32(1.5), rows))

    with pytest.raises(
        ConfigurationError, match=r"model\.c: not written, .*DecisionTreeClassifier: \d+ of \d+ samples"
    ):
        verify(TARGET, tree, export, 0)


def test_nan_in_the_other_branch():
    X = np.array([[0.0], [0.0], [np.nan], [np.nan], [1.0]])
    tree = DecisionTreeClassifier(random_state=0).fit(X, [0, 0, 1, 1, 1])
    with pytest.raises(ConfigurationError, match=r"by up to 1, e\.g\. \[nan\]; use save_skops instead"):
        verify(TARGET, tree, lambda rows: predict_with(tree, np.nan_to_num(rows, nan=-1)), 0)


def test_differing_labels_with_equal_values(tree):
    def export(rows):
        predictions = predict_with(tree, rows)
        return Predictions(np.where(predictions.labels == "b", "c", predictions.labels), predictions.values)

    with pytest.raises(ConfigurationError, match="samples, by up to 0"):
        verify(TARGET, tree, export, 1e-6, ties=True)


def test_differing_labels_of_ties_can_be_allowed():
    tie = DecisionTreeClassifier().fit([[0.0], [0.0]], [0, 1])

    def export(rows):
        return Predictions(np.ones(len(rows), dtype=int), predict_with(tie, rows).values)

    verify(TARGET, tie, export, 1e-6, ties=True)
    with pytest.raises(ConfigurationError, match="differ from"):
        verify(TARGET, tie, export, 1e-6)


def test_predictions_of_another_shape_or_not_finite(tree):
    with pytest.raises(ConfigurationError, match=r"shape \(\d+, 2\), expected \(\d+, 3\)"):
        verify(TARGET, tree, lambda rows: Predictions(None, predict_with(tree, rows).values[:, :2]), 1)
    with pytest.raises(ConfigurationError, match="samples, by up to nan"):
        verify(TARGET, tree, lambda rows: Predictions(None, predict_with(tree, rows).values * np.nan), 1)


def test_unfitted_and_unsupported_models():
    with pytest.raises(NotFittedError, match="DecisionTreeRegressor instance is not fitted"):
        check_fitted(DecisionTreeRegressor())
    with pytest.raises(NotFittedError, match="StudentClassifier instance is not fitted"):
        check_fitted(StudentClassifier(DecisionTreeRegressor(), [0, 1]))
    with pytest.raises(ConfigurationError, match="model: got KMeans, expected a scikit-learn classifier or regressor"):
        check_fitted(KMeans())


def test_models_that_reject_numeric_samples(tree):
    class Particular(DecisionTreeClassifier):
        def predict(self, X):
            raise ValueError("columns must be strings")

    assert comparable(tree)
    particular = Particular().fit([[0.0], [1.0]], [0, 1])
    assert not comparable(particular)
    with pytest.raises(ConfigurationError, match="Particular does not accept numeric samples"):
        verify(TARGET, particular, lambda rows: predict_with(tree, rows), 0)


def test_accepts_missing(tree):
    assert accepts_missing(tree)
    assert accepts_missing(StudentClassifier(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), [0, 1]))
    assert not accepts_missing(StudentClassifier(LinearRegression().fit([[0.0], [1.0]], [0, 1]), [0, 1]))


def test_predictions_do_not_depend_on_n_jobs():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), rng.integers(0, 3, 100)
    forest = RandomForestClassifier(7, random_state=0).fit(X, y)
    wanted = forest.predict_proba(X)
    forest.n_jobs = 2
    np.testing.assert_array_equal(predict_with(forest, X).values, wanted)
    assert forest.n_jobs == 2


@pytest.mark.parametrize(
    ("labels", "others"),
    [
        (np.array([True, False]), np.array([1, 1])),
        (np.array([1.0, 2.0]), np.array([1, 3])),
        (np.array(["a", "b"]), np.array(["a", "c"], dtype=object)),
    ],
)
def test_labels_of_different_types(labels, others):
    assert labels_differ(labels, others).tolist() == [False, True]
