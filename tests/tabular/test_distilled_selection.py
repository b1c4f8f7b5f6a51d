"""Choice of students: kinds, budgets, label sources, training data, categories and missing values."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import make_regression
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import DistilledClassifier, DistilledRegressor, compress_table, selection
from ganmc_lightning.tabular.profiling import tree_nodes
from ganmc_lightning.tabular.teacher_labels import CROSS_FIT_FOLDS, TableRows, TeacherLabels, has_out_of_bag

FOREST = RandomForestClassifier(10, random_state=0)


class Noise:
    """Synthesizer whose rows are useless."""

    def sample(self, n):
        return np.full((n, 6), 1e6) + np.random.default_rng(0).normal(size=(n, 6))


class Copies:
    """Synthesizer that returns the rows of a table."""

    def __init__(self, table):
        self.table = table

    def sample(self, n):
        return self.table.sample(n, replace=True, random_state=0)


def distil(X, y, student="tree", **arguments):
    return DistilledClassifier(FOREST, student, random_state=0, **arguments).fit(X, y)


@pytest.fixture(scope="module")
def table():
    """Two categorical columns, one of them with missing values, and a column of numbers that explains the rest."""
    random = np.random.default_rng(0)
    color, size = random.choice(["red", "green", "blue"], 300), random.normal(size=300)
    kind = pd.Categorical(random.choice(["a", "b"], 300))
    y = (size + (color == "red") + 0.3 * random.normal(size=300) > 0.5).astype(int)
    return pd.DataFrame({"size": size, "color": color, "kind": kind}), y


@pytest.fixture(scope="module")
def numbers():
    return make_regression(400, 5, noise=20, random_state=0)


class TestBudget:
    @pytest.mark.parametrize("student", ["tree", "forest", "boosting"])
    def test_max_nodes(self, binary, three, student):
        for X, y in (binary, three):
            model = distil(X, y, student, max_nodes=60, teacher_labels="in_bag", label_weight=0)
            assert model.profile_.student.nodes == sum(tree_nodes(model.student_)) <= 60
            assert all(candidate.nodes <= 60 for candidate in model.selection_)
            assert model.score(X, y) > 0.6

    def test_max_bytes_is_the_pickled_size(self, binary):
        model = distil(*binary, ["tree", "boosting"], max_bytes=6000, label_weight=0)
        assert len(pickle.dumps(model.student_)) <= 6000

    @pytest.mark.parametrize(
        ("student", "budget", "message"),
        [
            ("tree", {"max_nodes": 2}, r"max_nodes: got 2, expected at least 3, the smallest student \(tree\)"),
            ("forest", {"max_nodes": 9}, r"max_nodes: got 9, expected at least 15, the smallest student \(forest\)"),
            ("tree", {"max_bytes": 100}, r"max_bytes: got 100, expected at least \d+, the smallest student \(tree\)"),
            (DecisionTreeRegressor(), {"max_nodes": 20}, r"max_nodes: got 20, expected at least \d+, .*\(Decision"),
            ("tree", {"max_nodes": 0}, "max_nodes: got 0, expected a positive number"),
        ],
    )
    def test_a_budget_that_no_student_meets(self, binary, student, budget, message):
        with pytest.raises(ConfigurationError, match=message):
            distil(*binary, student, **budget)

    @pytest.mark.parametrize("slow", ["forest", "boosting"])
    def test_max_predict_seconds(self, binary, slow, monkeypatch):
        """Times are set by the kind of the student, so that the test does not depend on the machine."""
        monkeypatch.setattr(selection, "predict_outputs", lambda fitted, *_: fitted)
        monkeypatch.setattr(
            selection,
            "seconds_per_row",
            lambda predict, X: 1e-7 if isinstance(predict(X), DecisionTreeRegressor) else 1,
        )
        given = {"teacher_labels": "in_bag", "label_weight": 0, "max_nodes": 60, "max_predict_seconds": 1e-6}
        model = distil(*binary, [slow, "tree"], **given)
        assert model.chosen_.student == "tree"
        assert {(item.student, item.predict_seconds) for item in model.selection_} == {("tree", 1e-7)}
        message = f"max_predict_seconds: got 1e-06, expected at least 1, the smallest student \\({slow}\\)"
        with pytest.raises(ConfigurationError, match=message):
            distil(*binary, slow, **given)

    def test_prediction_time_is_measured_only_if_limited(self, binary):
        given = {"teacher_labels": "in_bag", "label_weight": 0, "max_nodes": 21}
        model = distil(*binary, "tree", max_predict_seconds=10, **given)
        assert all(0 < candidate.predict_seconds < 10 for candidate in model.selection_)
        assert distil(*binary, "tree", **given).chosen_.predict_seconds is None

    @pytest.mark.parametrize("pipeline", [False, True])
    def test_a_fitted_forest_does_not_pass_on_labels_of_validation_rows(self, pipeline):
        random = np.random.default_rng(0)
        X, y = random.normal(size=(400, 1)), random.integers(2, size=400)
        teacher = RandomForestClassifier(10, bootstrap=False, random_state=0)
        model = DistilledClassifier(
            make_pipeline(StandardScaler(), teacher).fit(X, y) if pipeline else teacher.fit(X, y),
            "tree",
            max_nodes=399,
            synthesizer=JitterSynthesizer(),
            synthetic_ratio=4,
            training_data="synthetic",
            random_state=0,
        ).fit(X, y)
        # the labels are random; with the labels of the validation rows the score is 0.86
        assert model.chosen_.score < 0.6
        assert model.teacher_ is model.teacher

    def test_candidates_are_ranked_and_the_best_is_fitted(self, binary):
        model = distil(*binary, ["tree", "boosting"], max_nodes=60)
        scores = [candidate.score for candidate in model.selection_]
        assert scores == sorted(scores, reverse=True)
        assert model.chosen_ is model.selection_[0]
        assert {candidate.student for candidate in model.selection_} == {"tree", "boosting"}
        assert {candidate.teacher_labels for candidate in model.selection_} == {"in_bag", "out_of_bag", "labels"}
        np.testing.assert_array_equal(
            model.predict_proba(binary[0]), distil(*binary, ["tree", "boosting"], max_nodes=60).predict_proba(binary[0])
        )

    def test_validation_rows_of_the_user(self, binary):
        X, y = binary
        model = DistilledClassifier(FOREST, "tree", label_weight=np.int64(0), random_state=0)
        model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:, None])
        assert 0.5 < model.selection_[0].score <= 1
        with pytest.raises(ConfigurationError, match="y_val: got 7, expected one of the classes of y"):
            model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:] + 7)
        with pytest.raises(ConfigurationError, match="y_val: got 'no', expected one of the classes of y"):
            model.fit(X[:300], y[:300], X_val=X[300:], y_val=np.where(y[300:], "yes", "no"))


class TestBoosting:
    def test_classification_minimizes_the_cross_entropy_of_soft_targets(self, binary):
        X, y = binary
        student = HistGradientBoostingClassifier(max_iter=60, min_samples_leaf=5)
        model = DistilledClassifier(FOREST, student, teacher_labels="in_bag", label_weight=0, random_state=0).fit(X, y)
        targets = model.teacher_.predict_proba(X)[:, 1]
        soft = model.predict_proba(X)[:, 1]
        hard = student.fit(X, y).predict_proba(X)[:, 1]
        loss = [-np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p)) for p in (soft, hard)]
        assert loss[0] < loss[1]
        assert model.classifier_.predict_proba(X).shape == (400, 2)


class TestLabels:
    def test_out_of_bag_labels_are_those_of_scikit_learn(self, binary):
        X, y = binary
        teacher = RandomForestClassifier(60, oob_score=True, random_state=0).fit(X, y)
        model = DistilledClassifier(
            teacher, DecisionTreeRegressor(), teacher_labels="out_of_bag", label_weight=0, random_state=0
        ).fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], teacher.oob_decision_function_[:, 1], atol=1e-12)

    def test_out_of_bag_labels_of_sparse_rows(self):
        """A one-hot encoder of many categories returns sparse rows."""
        random = np.random.default_rng(0)
        X = pd.DataFrame({"code": random.choice(list("abcdefghij"), 300)})
        y = (X["code"] < "e").to_numpy() ^ (random.random(300) < 0.1)
        teachers = [
            make_pipeline(OneHotEncoder(sparse_output=sparse), RandomForestClassifier(10, random_state=0)).fit(X, y)
            for sparse in (True, False)
        ]
        found = [
            DistilledClassifier(
                teacher, DecisionTreeRegressor(random_state=0), teacher_labels="out_of_bag", label_weight=0
            ).fit(X, y)
            for teacher in teachers
        ]
        np.testing.assert_array_equal(found[0].predict_proba(X), found[1].predict_proba(X))

    def test_teachers_are_fitted_once_for_all_training_sets(self, binary):
        X, y = binary

        class Counted(GaussianNB):
            fits = 0

            def fit(self, *arguments):
                Counted.fits += 1
                return super().fit(*arguments)

        model = DistilledClassifier(Counted(), "tree", max_nodes=15, teacher_labels="cross_fit", random_state=0)
        model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
        assert {candidate.label_weight for candidate in model.selection_} == {0, 0.5, 1}
        assert Counted.fits == 1 + CROSS_FIT_FOLDS

    def test_outputs_are_those_of_the_rows(self, binary):
        """Outputs are kept for each source and set of rows."""
        X, y = binary
        forest = RandomForestClassifier(60, oob_score=True, random_state=0)
        labels = TeacherLabels(forest, TableRows(X), y, y, None, False, None, 0, False)
        parts = [np.arange(200), np.arange(100, 300)]
        for _ in range(2):
            for part in parts:
                expected = clone(forest).fit(X[part], y[part])
                teacher = labels.fit_part(part)
                in_bag, out_of_bag = (labels.outputs(teacher, part, source) for source in ("in_bag", "out_of_bag"))
                np.testing.assert_array_equal(in_bag, expected.predict_proba(X[part]))
                np.testing.assert_allclose(out_of_bag, expected.oob_decision_function_)

    @pytest.mark.parametrize("kind", [RandomForestClassifier, RandomForestRegressor])
    def test_rows_in_another_order_have_no_out_of_bag_labels(self, three, kind):
        X, y = three
        random = np.random.default_rng(0)
        targets = np.array(["c", "a", "b"], dtype=object)[y] if kind is RandomForestClassifier else 5e3 + y
        forest = kind(12, random_state=0).fit(X, targets)
        order = random.permutation(len(y))
        pipeline = make_pipeline(StandardScaler(), clone(forest)).fit(X, targets)
        for model in (forest, pipeline):
            assert has_out_of_bag(model, targets)
            assert not has_out_of_bag(model, targets[order])
        assert not has_out_of_bag(clone(forest).set_params(bootstrap=False).fit(X, targets), targets)
        assert has_out_of_bag(clone(forest).fit(X, targets, random.random(len(y))), targets)
        distilled = DistilledClassifier if kind is RandomForestClassifier else DistilledRegressor
        with pytest.raises(ConfigurationError, match=r"has no out-of-bag rows; .*, its rows in the same order"):
            distilled(forest, "tree", teacher_labels="out_of_bag").fit(X[order], targets[order])

    def test_roots_that_depend_on_weights_are_not_compared(self, three):
        X, y = three
        for weight in ("balanced", "balanced_subsample", {0: 3, 1: 1, 2: 1}):
            forest = RandomForestClassifier(12, class_weight=weight, random_state=0).fit(X, y)
            assert has_out_of_bag(forest, y)
        forest = RandomForestRegressor(12, criterion="absolute_error", max_depth=2, random_state=0).fit(X, y**2)
        assert has_out_of_bag(forest, y**2)

    def test_cross_fitted_labels_do_not_contain_the_label_of_the_row(self):
        """Labels are noise: only a model that has seen a row predicts its label."""
        random = np.random.default_rng(0)
        X, y = random.normal(size=(200, 3)), random.integers(0, 2, 200)
        teacher = GradientBoostingClassifier(max_depth=8, random_state=0)
        agreement = {}
        for source in ("in_bag", "cross_fit"):
            model = DistilledClassifier(
                teacher, DecisionTreeRegressor(), teacher_labels=source, label_weight=0, random_state=0
            )
            agreement[source] = model.fit(X, y).score(X, y)
        assert agreement["in_bag"] > 0.95
        assert agreement["cross_fit"] < 0.7

    def test_sources_that_the_teacher_does_not_have(self, binary):
        X, y = binary

        class Constant:
            def predict_proba(self, rows):
                return np.full((len(rows), 2), 0.5)

        for source, teacher in (("out_of_bag", GradientBoostingClassifier(n_estimators=2)), ("cross_fit", Constant())):
            with pytest.raises(ConfigurationError, match=f"teacher_labels: got '{source}'"):
                DistilledClassifier(teacher, "tree", teacher_labels=source).fit(X, y)


def test_synthetic_rows_are_used_only_where_they_win(binary):
    model = distil(*binary, max_nodes=30, label_weight=0, synthesizer=Noise(), synthetic_ratio=1)
    assert {candidate.training_data for candidate in model.selection_} == {"real", "both", "synthetic"}
    assert model.chosen_.training_data != "synthetic"


class TestColumns:
    def test_categories(self, table):
        X, y = table
        model = DistilledClassifier(RandomForestClassifier(20), "tree", max_nodes=30, random_state=0).fit(X, y)
        assert model.score(X, y) > 0.85
        unknown = X[:5].assign(color="purple")
        with pytest.warns(UserWarning, match=r"^X: column 'color': unknown category 'purple' in 5 rows"):
            assert model.predict_proba(unknown).shape == (5, 2)
        encoded = model.encoder_.transform(X)
        np.testing.assert_array_equal(model.classifier_.predict_proba(encoded), model.predict_proba(X))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))

    @pytest.mark.parametrize("fitted", [False, True])
    def test_a_pipeline_receives_the_categories_as_they_are(self, table, fitted):
        X, y = table
        encoder = make_column_transformer((OneHotEncoder(), ["color", "kind"]), remainder="passthrough")
        teacher = make_pipeline(encoder, RandomForestClassifier(10, random_state=0))
        teacher = teacher.fit(X, y) if fitted else teacher
        model = DistilledClassifier(
            teacher, "tree", max_nodes=30, synthesizer=JitterSynthesizer(0.1), synthetic_ratio=1, random_state=0
        ).fit(X, y)
        assert list(model.teacher_.feature_names_in_) == ["size", "color", "kind"]
        assert model.score(X, y) > 0.85

    def test_a_table_as_synthesizer_of_tables(self, table):
        X, y = table
        model = DistilledClassifier(
            FOREST, "tree", synthesizer=X, synthetic_ratio=0.5, training_data="synthetic", random_state=0
        )
        assert model.fit(X, y).score(X, y) > 0.7

    @pytest.mark.parametrize("fitted", [None, "frame", "array"])
    def test_a_pipeline_may_choose_columns_by_their_types(self, fitted):
        random = np.random.default_rng(0)
        X = pd.DataFrame({"code": random.integers(6, size=300), "size": random.normal(size=300)})
        y = (X["code"] % 2).to_numpy()
        integers = make_column_transformer(
            (OneHotEncoder(), make_column_selector(dtype_include="int64") if fitted != "array" else [0]),
            remainder="passthrough",
        )
        teacher = make_pipeline(integers, LogisticRegression())
        if fitted:
            teacher.fit(X if fitted == "frame" else X.to_numpy(), y)
        given = {"max_nodes": 15, "label_weight": 0, "random_state": 0}
        model = DistilledClassifier(teacher, "tree", teacher_labels="cross_fit", **given).fit(X, y)
        assert model.score(X, y) == 1
        model = DistilledClassifier(teacher, "tree", synthesizer=Copies(X), training_data="synthetic", **given)
        assert model.fit(X, y).score(X, y) == 1

    @pytest.mark.parametrize(("categorical", "fitted"), [(["color"], False), (["color"], True), ([1], False)])
    def test_a_teacher_with_categorical_features_receives_the_columns_as_they_are(self, table, categorical, fitted):
        X, y = table
        X = X.drop(columns="kind").astype({"color": "category"})
        teacher = HistGradientBoostingClassifier(max_iter=3, categorical_features=categorical)
        expected = clone(teacher).fit(X, y).predict_proba(X)
        teacher = teacher.fit(X, y) if fitted else teacher
        arguments = {"max_nodes": 15, "synthesizer": JitterSynthesizer(), "synthetic_ratio": 1, "random_state": 0}
        model = DistilledClassifier(teacher, "tree", **arguments).fit(X, y)
        np.testing.assert_array_equal(model.teacher_.predict_proba(X), expected)
        result = compress_table(teacher, X, y, students=["tree"], max_nodes=15, seconds=0.01)
        assert result.rows.teacher.feature_names_in_.tolist() == ["size", "color"]

    def test_a_category_that_occurs_once_has_its_in_bag_output(self, table):
        """The teachers of the other folds refuse the category."""
        X, y = table
        X = X.astype({"color": object})
        X.loc[5, "color"] = "once"
        encoder = make_column_transformer((OneHotEncoder(), ["color", "kind"]), remainder="passthrough")
        teacher = make_pipeline(encoder, LogisticRegression())
        labels = TeacherLabels(
            teacher, TableRows(X.index.to_numpy()[:, None], X), y, y, list(X.columns), True, None, 0, False
        )
        everything = np.arange(len(y))
        fitted = labels.fit(everything)
        outputs = labels.outputs(fitted, everything, "cross_fit")
        same = np.equal(outputs, fitted.predict_proba(X)).all(axis=1)
        assert np.flatnonzero(same).tolist() == [5]
        assert DistilledClassifier(teacher, "tree", max_nodes=15, random_state=0).fit(X, y).score(X, y) > 0.7

    @pytest.mark.parametrize("student", ["tree", "boosting"])
    def test_missing_values(self, binary, student):
        X, y = binary
        X = X.copy()
        X[::7, 1] = np.nan
        model = distil(
            X, y, student, max_nodes=60, label_weight=0, synthesizer=JitterSynthesizer(0.1), synthetic_ratio=1
        )
        assert model.score(X, y) > 0.7
        assert np.isfinite(model.predict_proba(X)).all()
        empty = np.where(np.arange(6) == 1, np.nan, X)
        given = {"max_nodes": 60, "synthesizer": JitterSynthesizer(), "training_data": "both"}
        if student == "boosting":
            with pytest.raises(ConfigurationError, match="X: column 1 has no values, expected some for boosting"):
                distil(empty, y, student, **given)
        else:
            assert distil(empty, y, student, **given).score(empty, y) > 0.7


class TestRegression:
    @pytest.mark.parametrize("student", ["tree", "forest", "boosting", HistGradientBoostingRegressor(max_iter=20)])
    def test_students(self, numbers, student):
        teacher = RandomForestRegressor(20, random_state=0)
        model = DistilledRegressor(teacher, student, label_weight=0, random_state=0).fit(*numbers)
        assert model.score(*numbers) > 0.6
        np.testing.assert_array_equal(model.predict(numbers[0]), model.regressor_.predict(numbers[0]))

    def test_out_of_bag_values_are_those_of_scikit_learn(self, numbers):
        X, y = numbers
        teacher = RandomForestRegressor(60, oob_score=True, random_state=0).fit(X, y)
        model = DistilledRegressor(teacher, DecisionTreeRegressor(), teacher_labels="out_of_bag", label_weight=0)
        np.testing.assert_allclose(model.fit(X, y).predict(X), teacher.oob_prediction_, atol=1e-9)

    def test_mixed_targets(self, numbers):
        X, y = numbers
        teacher = RandomForestRegressor(5, random_state=0).fit(X, y)
        model = DistilledRegressor(teacher, DecisionTreeRegressor(), teacher_labels="in_bag", label_weight=0.25)
        np.testing.assert_allclose(model.fit(X, y).predict(X), 0.25 * y + 0.75 * teacher.predict(X), atol=1e-9)

    def test_invalid_input(self, numbers):
        X, y = numbers
        with pytest.raises(ConfigurationError, match=r"y: got one value, 3.0, expected two or more"):
            DistilledRegressor().fit(X, np.full(400, 3.0))
        with pytest.raises(ConfigurationError, match="teacher: got the classifier RandomForestClassifier"):
            DistilledRegressor(FOREST).fit(X, y)
