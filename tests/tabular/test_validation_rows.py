"""Validation parts of the rows, validation rows of the user, and the arguments of the regressor."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import DistilledClassifier, DistilledRegressor, distilled_base

STUDENTS = [DecisionTreeRegressor(max_depth=depth, random_state=0) for depth in (2, 5)]
TRAINING_DATA = ("real", "synthetic", "both")
IN_BAG = {"teacher_labels": "in_bag", "label_weight": 0, "random_state": 0}


SEEN = []
"""Rows of each fit of a recording teacher and its clones."""


class RecordingTeacher(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        SEEN.append(X)
        return super().fit(X, y, sample_weight)


class RecordingRegressor(LinearRegression):
    def fit(self, X, y, sample_weight=None):
        SEEN.append(X)
        return super().fit(X, y, sample_weight)


class RecordingStudent(DecisionTreeRegressor):
    """Student that records its training data."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = X, y, sample_weight
        return super().fit(X, y, sample_weight)


class Rows:
    """Synthesizer that returns given rows."""

    def __init__(self, rows):
        self.rows = rows

    def sample(self, n):
        return self.rows[:n]


@pytest.fixture
def seen():
    """Rows of each fit of a recording teacher in a test."""
    SEEN.clear()
    return SEEN


@pytest.fixture(scope="module")
def values(binary):
    """Rows, and values with noise."""
    X = binary[0]
    return X, X[:, 1] * X[:, 3] + 0.5 * np.random.default_rng(0).normal(size=len(X))


def held_out_rows(X, rows):
    """Return the rows of X, as indices, that a model fitted to ``rows`` has not seen."""
    return np.flatnonzero(~np.isin(X[:, 0], rows[:, 0]))


def distil(X, y, **arguments):
    return DistilledClassifier(RecordingTeacher(), STUDENTS, **IN_BAG, **arguments).fit(X, y)


class TestValidationFraction:
    @pytest.mark.parametrize(("fraction", "parts"), [(0.5, 2), (0.3, 3), (0.25, 4), (0.1, 10)])
    def test_every_row_is_in_one_of_equal_parts(self, binary, seen, fraction, parts):
        X, y = binary
        distil(X, y, validation_fraction=fraction)
        assert np.array_equal(seen[0], X)
        held_out = [held_out_rows(X, rows) for rows in seen[1:]]
        assert len(held_out) == parts
        assert {len(part) for part in held_out} <= {400 // parts, -(-400 // parts)}
        assert sorted(np.concatenate(held_out)) == list(range(400))
        shares = [y[part].sum() for part in held_out]
        assert max(shares) - min(shares) <= 1

    def test_one_part_of_many_rows(self, binary, seen, monkeypatch):
        monkeypatch.setattr(distilled_base, "CROSS_VALIDATION_ROWS", 400)
        distil(*binary, validation_fraction=0.25)
        assert [len(rows) for rows in seen] == [400, 300]

    def test_regression(self, values, seen):
        X, y = values
        model = DistilledRegressor(RecordingRegressor(), STUDENTS, validation_fraction=0.25, **IN_BAG).fit(X, y)
        assert np.array_equal(seen[0], X)
        held_out = [held_out_rows(X, rows) for rows in seen[1:]]
        assert [len(part) for part in held_out] == [100] * 4
        assert sorted(np.concatenate(held_out)) == list(range(400))
        expected = dict.fromkeys((2, 5), 0.0)
        for part in held_out:
            train = np.setdiff1d(np.arange(400), part)
            targets = LinearRegression().fit(X[train], y[train]).predict(X[train])
            for student in STUDENTS:
                outputs = clone(student).fit(X[train], targets).predict(X[part])
                expected[student.max_depth] += r2_score(y[part], outputs) / 4
        assert {item.estimator.max_depth: item.score for item in model.selection_} == pytest.approx(expected)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_score_is_the_mean_over_the_parts(self, binary, seen, weighted):
        X, y = binary
        weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float) if weighted else None
        model = DistilledClassifier(RecordingTeacher(), STUDENTS, validation_fraction=0.25, **IN_BAG)
        model.fit(X, y, weights)
        expected = dict.fromkeys((2, 5), 0.0)
        for rows in seen[1:]:
            test = held_out_rows(X, rows)
            train = np.setdiff1d(np.arange(400), test)
            given = (None, None) if weights is None else (weights[train], weights[test])
            targets = GaussianNB().fit(X[train], y[train], given[0]).predict_proba(X[train])[:, 1]
            for student in STUDENTS:
                outputs = clone(student).fit(X[train], targets, given[0]).predict(X[test])
                expected[student.max_depth] += roc_auc_score(y[test], outputs, sample_weight=given[1]) / 4
        assert {item.estimator.max_depth: item.score for item in model.selection_} == pytest.approx(expected)

    @pytest.mark.parametrize("fraction", [0, -0.2, 0.6, np.nan])
    @pytest.mark.parametrize("distilled", [DistilledClassifier, DistilledRegressor])
    def test_other_fractions_are_refused(self, binary, distilled, fraction):
        with pytest.raises(
            ConfigurationError, match=rf"validation_fraction: got {fraction}, expected a positive number up to 0.5"
        ):
            distilled(validation_fraction=fraction).fit(*binary)


@pytest.mark.parametrize("regression", [False, True])
def test_integer_weights_of_validation_rows_equal_repetition(binary, values, regression):
    X, y = values if regression else binary
    counts = np.random.default_rng(0).integers(0, 4, 150)
    model = (
        DistilledRegressor(RecordingRegressor(), "tree")
        if regression
        else DistilledClassifier(RecordingTeacher(), "tree")
    )
    model.set_params(max_nodes=15, **IN_BAG)
    scores = []
    for rows, weights in (
        (np.arange(250, 400), counts),
        (np.arange(250, 400).repeat(counts), None),
        (np.arange(250, 400), None),
    ):
        model.fit(X[:250], y[:250], X_val=X[rows], y_val=y[rows], sample_weight_val=weights)
        scores.append({repr(item.estimator): item.score for item in model.selection_})
    assert len(scores[0]) > 3
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] != pytest.approx(scores[2], abs=1e-3)


class TestRegressor:
    @pytest.mark.parametrize("fitted", [False, True])
    def test_integer_weights_equal_repetition(self, values, fitted):
        X, y = values
        counts = np.random.default_rng(0).integers(0, 4, len(y))
        teacher = DecisionTreeRegressor(max_depth=4, random_state=0)
        model = DistilledRegressor(teacher.fit(X, y) if fitted else teacher, STUDENTS[0], **IN_BAG)
        weighted = model.fit(X, y, counts).predict(X)
        repeated = model.fit(X.repeat(counts, axis=0), y.repeat(counts)).predict(X)
        np.testing.assert_allclose(weighted, repeated, atol=1e-9)
        assert np.abs(weighted - model.fit(X, y).predict(X)).max() > 0.05

    def test_invalid_weights(self, values):
        X, y = values
        model = DistilledRegressor(DecisionTreeRegressor(), STUDENTS[0], **IN_BAG)
        with pytest.raises(ConfigurationError, match=r"sample_weight: got shape \(3,\)"):
            model.fit(X, y, np.ones(3))
        with pytest.raises(
            ConfigurationError, match=r"sample_weight_val: got -1\.0, expected finite values of at least"
        ):
            model.set_params(student=STUDENTS).fit(X, y, X_val=X, y_val=y, sample_weight_val=np.full(400, -1.0))

    @pytest.mark.parametrize(("training_data", "real"), [("synthetic", 0), ("both", 400), ("real", 400)])
    def test_training_data(self, values, training_data, real):
        X, y = values
        weights = np.random.default_rng(0).random(400)
        teacher = RandomForestRegressor(5, random_state=0)
        arguments = {"synthesizer": JitterSynthesizer(0.05), "synthetic_ratio": 2, "training_data": training_data}
        model = DistilledRegressor(teacher, RecordingStudent(), **arguments, **IN_BAG).fit(X, y, weights)
        rows, targets, row_weights = model.regressor_.seen_
        np.testing.assert_array_equal(rows[:real], X[:real])
        np.testing.assert_array_equal(targets, model.teacher_.predict(rows))
        synthetic = rows[real:]
        assert len(synthetic) == (0 if training_data == "real" else 800)
        if training_data == "synthetic":
            assert row_weights is None
        else:
            np.testing.assert_allclose(row_weights, np.append(weights, np.full(len(synthetic), weights.mean())))
        if len(synthetic):
            nearest = (np.abs(synthetic[:, None] - X) / X.std(axis=0)).max(axis=2).min(axis=1)
            assert 0.02 < np.median(nearest) < 0.15  # in the units of X

    def test_synthetic_rows_are_compared_with_real_ones(self, values):
        X, y = values
        noise = 1e6 + np.random.default_rng(0).normal(size=(5000, 6))
        model = DistilledRegressor(RandomForestRegressor(5), "tree", max_nodes=31, label_weight=0, random_state=0)
        model.set_params(synthesizer=Rows(noise), synthetic_ratio=2).fit(X, y)
        best = {kind: next(c.score for c in model.selection_ if c.training_data == kind) for kind in TRAINING_DATA}
        assert best["synthetic"] < 0.1 < 0.3 < best["real"]
        assert model.chosen_.training_data != "synthetic"

    def test_max_bytes_is_the_pickled_size(self, values):
        X, y = values
        model = DistilledRegressor(RandomForestRegressor(5), "tree", validation_fraction=0.5, **IN_BAG)
        free = len(pickle.dumps(model.fit(X, y).regressor_))
        limited = model.set_params(max_bytes=6000).fit(X, y)
        assert len(pickle.dumps(limited.regressor_)) == limited.profile_.student.bytes <= 6000 < free
        assert all(candidate.bytes <= 6000 for candidate in limited.selection_)
        with pytest.raises(
            ConfigurationError, match=r"max_bytes: got 100, expected at least \d+, the smallest student"
        ):
            model.set_params(max_bytes=100).fit(X, y)

    def test_validation_rows_without_values(self, values):
        X, y = values
        model = DistilledRegressor(RandomForestRegressor(5), STUDENTS, **IN_BAG)
        with pytest.raises(ConfigurationError, match="y_val: got None, expected the labels of X_val"):
            model.fit(X, y, X_val=X)
        with pytest.raises(ConfigurationError, match="y_val: got one value, expected two or more"):
            model.fit(X, y, X_val=X, y_val=np.ones(400))
