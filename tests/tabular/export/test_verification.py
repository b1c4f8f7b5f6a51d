from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import StudentClassifier
from ganmc_lightning.tabular.export.verification import (
    Answers,
    accepts_missing,
    answers_of,
    check_fitted,
    comparable,
    labels_differ,
    verify,
)

TARGET = Path("model.c")


@pytest.fixture
def tree():
    X = np.arange(6.0)[:, None]
    return DecisionTreeClassifier(random_state=0).fit(X, ["a", "a", "b", "b", "c", "c"])


def test_a_faithful_export_passes(tree):
    verify(TARGET, tree, lambda rows: answers_of(tree, rows), 0)


def test_one_threshold_too_high_by_one_float32(tree):
    """The smallest error there is: rows on the neighbor alone go another way."""
    threshold = np.nextafter(np.float32(1.5), np.float32(2))

    def export(rows):
        return answers_of(tree, np.where(rows == threshold, np.float32(1.5), rows))

    with pytest.raises(
        ConfigurationError, match=r"model\.c is not written: .*DecisionTreeClassifier: \d+ of \d+ rows differ"
    ):
        verify(TARGET, tree, export, 0)


def test_nan_that_goes_the_other_way():
    X = np.array([[0.0], [0.0], [np.nan], [np.nan], [1.0]])
    tree = DecisionTreeClassifier(random_state=0).fit(X, [0, 0, 1, 1, 1])
    with pytest.raises(ConfigurationError, match=r"by up to 1; one is \[nan\].*store the model by save_skops instead"):
        verify(TARGET, tree, lambda rows: answers_of(tree, np.nan_to_num(rows, nan=-1)), 0)


def test_other_labels_alone(tree):
    def export(rows):
        answers = answers_of(tree, rows)
        return Answers(np.where(answers.labels == "b", "c", answers.labels), answers.values)

    with pytest.raises(ConfigurationError, match="rows differ, by up to 0"):
        verify(TARGET, tree, export, 1e-6, ties=True)


def test_other_labels_of_ties_may_be_let_pass():
    tie = DecisionTreeClassifier().fit([[0.0], [0.0]], [0, 1])

    def export(rows):
        return Answers(np.ones(len(rows), dtype=int), answers_of(tie, rows).values)

    verify(TARGET, tie, export, 1e-6, ties=True)
    with pytest.raises(ConfigurationError, match="rows differ"):
        verify(TARGET, tie, export, 1e-6)


def test_answers_of_another_shape_or_not_finite(tree):
    with pytest.raises(ConfigurationError, match=r"shape \(\d+, 2\), expected \(\d+, 3\)"):
        verify(TARGET, tree, lambda rows: Answers(None, answers_of(tree, rows).values[:, :2]), 1)
    with pytest.raises(ConfigurationError, match="rows differ, by up to nan"):
        verify(TARGET, tree, lambda rows: Answers(None, answers_of(tree, rows).values * np.nan), 1)


def test_models_that_cannot_be_asked():
    with pytest.raises(ConfigurationError, match="DecisionTreeRegressor is not fitted: call fit before the export"):
        check_fitted(DecisionTreeRegressor())
    with pytest.raises(ConfigurationError, match="StudentClassifier is not fitted"):
        check_fitted(StudentClassifier(DecisionTreeRegressor(), [0, 1]))
    with pytest.raises(
        ConfigurationError, match="KMeans cannot be exported: it is neither a classifier nor a regressor"
    ):
        check_fitted(KMeans())


def test_models_of_other_rows_than_numbers(tree):
    class Particular(DecisionTreeClassifier):
        def predict(self, X):
            raise ValueError("columns must be strings")

    assert comparable(tree)
    particular = Particular().fit([[0.0], [1.0]], [0, 1])
    assert not comparable(particular)
    with pytest.raises(ConfigurationError, match="Particular must accept rows of numbers to be compared"):
        verify(TARGET, particular, lambda rows: answers_of(tree, rows), 0)


def test_who_accepts_nan(tree):
    assert accepts_missing(tree)
    assert not accepts_missing(StudentClassifier(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), [0, 1]))


def test_answers_of_a_forest_on_threads_are_those_on_one():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), rng.integers(0, 3, 100)
    forest = RandomForestClassifier(7, random_state=0).fit(X, y)
    wanted = forest.predict_proba(X)
    forest.n_jobs = 2
    np.testing.assert_array_equal(answers_of(forest, X).values, wanted)
    assert forest.n_jobs == 2


@pytest.mark.parametrize(
    ("labels", "others"),
    [
        (np.array([True, False]), np.array([1, 1])),
        (np.array([1.0, 2.0]), np.array([1, 3])),
        (np.array(["a", "b"]), np.array(["a", "c"], dtype=object)),
    ],
)
def test_labels_of_other_types(labels, others):
    assert labels_differ(labels, others).tolist() == [False, True]
