from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, make_regression
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer, SmoteSynthesizer
from ganmc_lightning.tabular import DistilledClassifier, compress, compress_table
from ganmc_lightning.tabular.compress import largest_file
from ganmc_lightning.tabular.compress_checks import check_columns
from ganmc_lightning.tabular.compress_rows import split_rows
from ganmc_lightning.tabular.compress_search import TimeLimit, deployable, search_students
from ganmc_lightning.tabular.export import save_skops, to_c, to_onnx
from ganmc_lightning.tabular.recipes import TrainingRecipe
from ganmc_lightning.tabular.selection import BudgetError, StudentCandidate
from ganmc_lightning.tabular.teacher_files import BoosterClassifier


def quick(teacher, X, y, **arguments):
    return compress_table(teacher, X, y, **{"students": ["tree"], "max_nodes": 31, "seconds": 0.01, **arguments})


def split_pair(X, y, n=300):
    return (X[:n], y[:n]), (X[n:], y[n:])


@pytest.fixture(scope="module")
def forest(binary):
    return RandomForestClassifier(60, max_depth=6, random_state=0).fit(*binary)


class TestRows:
    def test_fitted_teacher_is_fitted_again_without_held_out_rows(self, binary, forest):
        X, y = binary
        rows = split_rows(forest, X, y, None, None, seed=0)
        assert rows.teacher_scores == "refitted"
        assert [len(part) for part in (rows.y, rows.y_test, rows.choice.y, rows.choice.y_val)] == [320, 80, 256, 64]
        assert rows.teacher.n_jobs is None
        assert not rows.choice.seen
        for teacher, fitted, unseen in (
            (rows.teacher, (rows.X, rows.y), rows.X_test),
            (rows.choice.teacher, (rows.choice.X, rows.choice.y), rows.choice.X_val),
        ):
            expected = clone(forest).fit(*fitted).predict_proba(unseen)
            np.testing.assert_array_equal(teacher.predict_proba(unseen), expected)
        parts = (rows.choice.X, rows.choice.X_val, rows.X_test)
        assert {tuple(x) for part in parts for x in part} == {tuple(x) for x in X}

    def test_unfitted_teacher_is_not_fitted_to_the_test_rows(self, binary):
        X, y = binary
        rows = split_rows(DecisionTreeClassifier(random_state=0), X, y, None, None, seed=0)
        expected = DecisionTreeClassifier(random_state=0).fit(rows.X, rows.y).predict_proba(rows.X_test)
        assert rows.teacher_scores == "unseen"
        np.testing.assert_array_equal(rows.test_outputs, expected)

    def test_model_that_cannot_be_fitted_again_is_reported(self, binary, forest):
        X, y = binary
        model = BoosterClassifier(forest, [0, 1], 6)
        rows = split_rows(model, X, y, None, None, seed=0)
        assert (rows.teacher_scores, rows.choice.seen) == ("seen", True)
        assert rows.choice.teacher is model

    def test_given_rows(self, binary, forest):
        train, test = split_pair(*binary)
        rows = split_rows(forest, *train, test, test, seed=0)
        assert len(rows.y) == len(rows.choice.y) == 300
        assert rows.teacher is rows.choice.teacher is forest
        np.testing.assert_array_equal(rows.test_outputs, forest.predict_proba(test[0]))

    def test_categories_reach_an_unfitted_teacher_encoded(self):
        X = pd.DataFrame({"color": ["red", "blue"] * 50, "size": np.arange(100.0)})
        rows = split_rows(DecisionTreeClassifier(), X, np.array(["n", "y"] * 50), None, None, seed=0)
        assert rows.test_outputs.max(axis=1).min() == 1

    def test_unknown_category(self):
        X = pd.DataFrame({"color": ["red", "blue"] * 50, "size": np.arange(100.0)})
        y = np.array([0, 1] * 50)
        encoder = make_column_transformer((OneHotEncoder(), ["color"]), remainder="passthrough")
        model = make_pipeline(encoder, DecisionTreeClassifier()).fit(X, y)
        test = X.assign(color="green"), y
        with pytest.raises(
            ConfigurationError, match=r"teacher: cannot predict .*\['green'\].*; remove these rows, or fit"
        ):
            split_rows(model, X, y, None, test, seed=0)

    def test_teacher_that_cannot_be_fitted_to_missing_values(self):
        X = pd.DataFrame({"size": [*np.arange(99.0), np.nan], "mass": np.arange(100.0)})
        with pytest.raises(ConfigurationError, match=r"teacher: cannot fit the rows .*; column 'size' has missing"):
            split_rows(LogisticRegression(), X, np.array([0, 1] * 50), None, None, seed=0)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            (["a", "c"], "fitted to the column 'b', which data does not have"),
            (["a", "b", "c"], "not fitted to the column 'c' of data"),
            (["b", "a"], "in another order, 'a' is at place 1 where data has 'b'"),
        ],
    )
    def test_other_columns(self, columns, message):
        model = DecisionTreeClassifier().fit(pd.DataFrame({"a": [0, 1], "b": [1, 0]}), [0, 1])
        check_columns(model, ["a", "b"], "data")
        with pytest.raises(ConfigurationError, match=message):
            check_columns(model, columns, "data")

    def test_other_number_of_columns(self):
        model = DecisionTreeClassifier().fit([[0, 1], [1, 0]], [0, 1])
        with pytest.raises(ConfigurationError, match="fitted to 2 columns, data has 1"):
            check_columns(model, ["a"], "data")

    @pytest.mark.parametrize("name", ["validation", "test"])
    @pytest.mark.parametrize("regression", [False, True])
    def test_one_value(self, binary, forest, name, regression):
        X, y = binary
        teacher = RandomForestRegressor(3, random_state=0).fit(X, y) if regression else forest
        given = {"validation": None, "test": None, name: (X[:9], np.zeros(9, dtype=np.int64))}
        expected = f"y_{name.removesuffix('idation')}: got one value, 0, expected two or more"
        with pytest.raises(ConfigurationError, match=expected):
            split_rows(teacher, X, y, given["validation"], given["test"], seed=0)

    @pytest.mark.parametrize("name", ["validation", "test"])
    @pytest.mark.parametrize(
        ("regression", "y", "message"),
        [
            (False, [0, 1], "got 2 values for 3 rows, expected one per row"),
            (True, [0.5, 1], "got 2 values for 3 rows, expected one per row"),
            (True, [0.5, 1, np.nan], "got nan, expected finite numbers"),
            (True, [0.5, 1, -np.inf], "got -inf, expected finite numbers"),
            (True, [0.5, 1, "many"], "got '0.5', expected numbers"),
        ],
    )
    def test_targets_are_validated_before_anything_is_fitted(self, binary, name, regression, y, message):
        class Unfitted(DecisionTreeRegressor if regression else DecisionTreeClassifier):
            def fit(self, *arguments, **options):
                raise AssertionError

        name, part = f"y_{name.removesuffix('idation')}", (binary[0][:3], y)
        given = {"y_val": None, "y_test": None, name: part}
        with pytest.raises(ConfigurationError, match=f"{name}: {message}"):
            split_rows(Unfitted(), *binary, given["y_val"], given["y_test"], seed=0)

    def test_teacher_of_an_array_and_other_columns(self, binary, forest):
        X, y = binary
        X = pd.DataFrame(X).add_prefix("x")
        split_rows(forest, X[:300], y[:300], None, (X[300:], y[300:]), seed=0)
        y = 1 - y  # the teacher is worse than chance
        with pytest.raises(ConfigurationError, match=r"has no names of columns and is no better .* \(AUC 0\.\d+\)"):
            split_rows(forest, X[:300], y[:300], None, (X[300:], y[300:]), seed=0)

    def test_infinity_is_reported_with_its_column(self):
        X = pd.DataFrame({"size": [*np.arange(99.0), np.inf], "mass": np.arange(100.0)})
        with pytest.raises(
            ConfigurationError, match=r"teacher: cannot fit the rows .*; column 'size' contains infinity"
        ):
            split_rows(LogisticRegression(), X, np.array([0, 1] * 50), None, None, seed=0)


class TestTimeLimit:
    def test_recipes_are_predicted_by_the_longest(self):
        now = [0.0]
        messages = []
        limit = TimeLimit(10, lambda text, seconds: messages.append((text, seconds)), lambda: now[0])
        found = []
        for source, duration in (("in_bag", 4), ("out_of_bag", 3), ("labels", 1), ("cross_fit", 1)):
            recipe = TrainingRecipe(source, 0.0, "real")
            found.append([limit.should_fit(kind, recipe) for kind in ("tree", "forest")])
            now[0] += duration
        assert found == [[True] * 2, [True] * 2, [True] * 2, [False] * 2]
        assert limit.skipped == ["cross-fit teacher"]
        assert messages == [("in-bag teacher", 0), ("out-of-bag teacher", 4), ("labels", 7)]

    def test_real_rows_are_skipped_after_the_limit(self, binary, forest):
        (X, y), validation = split_pair(*binary)
        result = quick(forest, X, y, validation=validation, test=validation, seconds=1e-9)
        assert {item.labels for item in result.tried} == {"in-bag teacher", "labels"}
        assert result.skipped


class TestSearch:
    @staticmethod
    def fit(too_large):
        """Return a function that fits two kinds of students; those of synthetic rows are better."""

        def fit(student, training_data, synthesizer=None, **arguments):
            kinds = [student] if isinstance(student, str) else student
            if synthesizer in too_large or "real" in too_large:
                raise BudgetError(f"max_bytes: got 900, expected at least 1000, the smallest student ({kinds[0]})")
            score = 0.5 if synthesizer is None else 0.6
            found = [StudentCandidate(kind, None, "in_bag", 0.0, training_data, score, 3, 800, None) for kind in kinds]
            return SimpleNamespace(selection_=found, chosen_=found[0])

        return fit

    def test_synthesizer_whose_students_are_too_large_is_skipped(self):
        synthesizers = {"jitter": "jitter", "smote": "smote"}
        limit = TimeLimit(100, None)
        best, tried, unusable = search_students(self.fit(["jitter"]), ["tree", "forest"], synthesizers, limit)
        assert best.chosen_.score == 0.6
        assert [item.synthesizer for item in tried] == ["smote", "smote", "", ""]
        assert list(unusable) == ["tree, jitter", "forest, jitter"]
        assert "expected at least 1000" in unusable["forest, jitter"]

    def test_no_student_is_small_enough(self):
        with pytest.raises(BudgetError, match="max_bytes: got 900, expected at least 1000"):
            search_students(self.fit(["real"]), ["tree"], {"jitter": "jitter"}, TimeLimit(100, None))


class TestCompressTable:
    def test_synthesizers_and_baseline(self, binary, forest):
        (X, y), validation = split_pair(*binary)
        result = quick(forest, X, y, validation=validation, seconds=100, synthesizers={"jitter": JitterSynthesizer()})
        assert {item.synthesizer for item in result.tried} == {"", "jitter"}
        scores = [item.candidate.score for item in result.tried]
        assert scores == sorted(scores, reverse=True)
        assert result.model.chosen_.score == scores[0]
        assert not result.is_plain
        plain = result.plain.chosen_
        assert (plain.student, plain.teacher_labels) == ("boosting", "labels")
        assert result.plain.profile_.student.nodes <= result.model.profile_.student.nodes

    def test_constant_column_keeps_synthesizers(self, binary):
        (X, y), (X_val, y_val) = split_pair(*(np.column_stack([binary[0], np.ones(400)]), binary[1]))
        result = quick(
            RandomForestClassifier(5, random_state=0),
            X,
            y,
            validation=(X_val, y_val),
            seconds=100,
            synthesizers={"jitter": JitterSynthesizer()},
        )
        assert not result.unusable
        assert "jitter" in {item.synthesizer for item in result.tried}

    def test_class_of_few_rows_excludes_synthesizers(self, binary):
        X, y = binary[0], (np.arange(400) % 50 == 0).astype(int)
        synthesizers = {"smote": SmoteSynthesizer(k_neighbors=20)}
        result = quick(RandomForestClassifier(5, random_state=0), X, y, seconds=100, synthesizers=synthesizers)
        assert "SmoteSynthesizer: class 1: got" in result.unusable["smote"]

    def test_lists_and_columns(self, binary):
        X, y = binary
        tree = DecisionTreeClassifier(max_depth=4, random_state=0)
        arrays, lists = quick(tree, X, y), quick(tree, X.tolist(), pd.DataFrame({"y": y}))
        np.testing.assert_array_equal(lists.model.predict_proba(X), arrays.model.predict_proba(X))
        texts = [[text, number] for text, number in zip(np.where(y, "a", "b").tolist(), X[:, 0].tolist(), strict=True)]
        assert quick(tree, texts, y).model.encoder_ is not None

    def test_labels_are_chosen_where_the_teacher_knows_nothing(self, binary):
        (X, y), validation = split_pair(*binary)
        random = RandomForestClassifier(3, random_state=0).fit(X, np.random.default_rng(0).integers(2, size=300))
        result = quick(random, X, y, validation=validation, test=validation, students=["boosting"], max_nodes=99)
        assert result.is_plain
        assert result.plain is result.model

    @pytest.mark.parametrize(
        ("students", "better", "is_plain"),
        [(["tree", "boosting"], False, True), (["tree", "boosting"], True, False), (["tree"], False, False)],
    )
    def test_plain_boosting_is_preferred_to_a_student_that_is_not_better(
        self, binary, forest, monkeypatch, students, better, is_plain
    ):
        (X, y), validation = split_pair(*binary)
        monkeypatch.setattr(compress, "is_better", lambda *args: better)
        result = quick(forest, X, y, validation=validation, students=students)
        assert result.is_plain is is_plain
        assert (result.plain is result.model) is is_plain
        plain = result.plain.chosen_
        assert (plain.student, plain.teacher_labels) == ("boosting", "labels")

    @pytest.mark.parametrize("max_bytes", [100, 1500])
    @pytest.mark.parametrize("students", [["tree", "boosting"], ["boosting"], ["forest"]])
    def test_size_that_the_smallest_student_needs(self, binary, forest, students, max_bytes):
        """The pickled student may be larger than its files."""
        (X, y), validation = split_pair(*binary)
        options = {"validation": validation, "test": validation, "students": students}
        with pytest.raises(ConfigurationError, match=rf"max_bytes: got {max_bytes}, expected at least \d+") as caught:
            quick(forest, X, y, **options, max_bytes=max_bytes)
        least = int(str(caught.value).split("at least ")[1].split(",")[0])
        for limit in (least, least + 500):
            result = quick(forest, X, y, **options, max_bytes=limit)
            assert largest_file(result.model) <= limit

    def test_small_plain_boosting_is_preferred_to_a_tree_in_a_small_file(self):
        """Boosting of as many nodes has a larger file than the tree."""
        X, y = load_breast_cancer(return_X_y=True)
        (X, y), validation = split_pair(X[:, :6], y, 400)
        forest = RandomForestClassifier(10, random_state=0).fit(X, y)
        options = {"students": ["tree", "boosting"], "validation": validation, "test": validation, "max_nodes": None}
        trees = quick(forest, X, y, **{**options, "students": ["tree"]}, max_bytes=9000)
        assert not trees.is_plain
        for max_bytes in (9000, 11000):
            result = quick(forest, X, y, **options, max_bytes=max_bytes)
            assert result.is_plain
            assert result.model.profile_.student.nodes >= 3
            assert largest_file(result.model) <= max_bytes

    @pytest.mark.parametrize("n_fitted", [300, 400])
    def test_plain_boosting_is_fitted_to_the_rows_of_the_student(self, binary, n_fitted, monkeypatch):
        """The student of out-of-bag labels is fitted to all rows only if the given forest was fitted to the same."""

        def fit_to_out_of_bag_labels(fit, *arguments):
            return fit(student="tree", teacher_labels="out_of_bag", label_weight=0), [], {}

        monkeypatch.setattr(compress, "search_students", fit_to_out_of_bag_labels)
        X, y = binary
        (X_train, y_train), test = split_pair(X, y)
        forest = RandomForestClassifier(60, random_state=0).fit(X[:n_fitted], y[:n_fitted])
        result = quick(forest, X_train, y_train, test=test)
        assert bool(result.not_refitted) is (n_fitted == 400)
        rows = result.plain.student_._predictors[0][0].nodes["count"][0]
        assert rows == (len(result.rows.choice.y) if result.not_refitted else 300)

    def test_regression(self):
        X, y = make_regression(300, 4, n_informative=4, random_state=0)
        result = quick(RandomForestRegressor(10, random_state=0), X, y, regression=True, max_nodes=99)
        assert result.scoring == "r2"
        assert result.rows.test_outputs.shape == (60,)
        assert result.student.predict(X).shape == (300,)

    def test_max_bytes_limits_every_exported_file(self, binary, forest, tmp_path):
        (X, y), validation = split_pair(*binary)
        result = quick(
            forest, X, y, validation=validation, students=["boosting", "tree"], max_nodes=300, max_bytes=9000
        )
        assert largest_file(result.model) <= 9000
        inner = deployable(result.model)
        files = [
            save_skops(result.student, tmp_path / "student.skops"),
            to_c(inner, tmp_path / "student.c"),
            to_onnx(inner, tmp_path / "student.onnx"),
        ]
        assert max(file.stat().st_size for file in files) <= 9000

    def test_max_bytes_includes_the_encoder(self):
        random = np.random.default_rng(0)
        X = pd.DataFrame({"color": random.choice(list("abcdefgh"), 200), "size": random.normal(size=200)})
        y = (X["color"] < "e").to_numpy() ^ (X["size"] > 0).to_numpy()
        # the student alone has 3,000 bytes as skops file, with the encoder 6,000
        with pytest.raises(ConfigurationError, match=r"max_bytes: got 4000, expected at least \d+"):
            quick(RandomForestClassifier(10, random_state=0), X, y, max_bytes=4000)

    def test_max_bytes_that_no_student_meets(self, binary, forest):
        (X, y), validation = split_pair(*binary)
        with pytest.raises(ConfigurationError, match=r"max_bytes: got 2000, expected at least \d+"):
            quick(forest, X, y, validation=validation, max_bytes=2000)

    def test_student_of_categories_predicts_rows_of_the_table(self):
        random = np.random.default_rng(0)
        X = pd.DataFrame({"color": random.choice(["red", "blue", "green"], 200), "size": random.normal(size=200)})
        y = np.where((X["color"] == "red") ^ (X["size"] > 0), "yes", "no")
        result = quick(RandomForestClassifier(10, random_state=0), X, y)
        assert (result.student.predict(X) == y).mean() > 0.8
        with pytest.warns(UserWarning, match="column 'color': unknown category 'violet' in 200 rows"):
            assert result.student.predict(X.assign(color="violet")).shape == (200,)

    @pytest.mark.parametrize("given", [False, True])
    def test_categories_and_missing_values(self, given):
        random = np.random.default_rng(0)
        X = pd.DataFrame({"color": random.choice(["red", "blue", None], 200), "size": random.normal(size=200)})
        y = np.where((X["color"] == "red") ^ (X["size"] > 0), "yes", "no")
        X.loc[::9, "size"] = np.nan
        encoder = make_column_transformer((OneHotEncoder(), ["color"]), (SimpleImputer(), ["size"]))
        forest = RandomForestClassifier(10, random_state=0)
        result = quick(make_pipeline(encoder, forest).fit(X, y) if given else forest, X, y)
        assert (result.student.predict(X) == y).mean() > 0.8

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"y": np.zeros(400)}, "y: got one class, 0.0"),
            ({"y": np.linspace(0, 1, 400)}, "Unknown label type: continuous"),
            ({"y": np.zeros(399, dtype=int) + np.arange(399) % 2}, "y: got 399 values for 400 rows"),
            ({"y": np.append(np.linspace(0, 1, 399), np.nan), "regression": True}, "y: got nan, expected finite"),
            ({"max_nodes": 0}, "max_nodes: got 0, expected a positive number"),
            ({"max_nodes": 1}, "max_nodes: got 1, expected at least 3, the smallest student"),
            ({"seconds": -1}, "seconds: got -1, expected a positive number"),
            ({"max_predict_seconds": 0}, "max_predict_seconds: got 0, expected a positive number"),
            ({"students": ["net"]}, "students: got 'net', expected names out of boosting, tree, forest"),
            ({"test": ([[0.0] * 6] * 3, [0, 1])}, "y_test: got 2 values for 3 rows, expected one per row"),
            ({"test": (np.empty((0, 6)), [])}, "y_test: got no values, expected two or more"),
            ({"test": ([[0.0] * 6], ["new"])}, "y_test: got 'new', expected one of the classes"),
        ],
    )
    def test_errors(self, binary, forest, change, message):
        X, y = binary
        with pytest.raises(ConfigurationError, match=message):
            quick(forest, X, change.pop("y", y), **change)

    @pytest.mark.parametrize("name", ["max_nodes", "max_bytes", "max_predict_seconds", "seconds"])
    def test_limits_are_validated_before_the_teacher_is_fitted(self, binary, name, monkeypatch):
        monkeypatch.delattr(compress, "split_rows")
        with pytest.raises(ConfigurationError, match=f"{name}: got 0, expected a positive number"):
            quick(RandomForestClassifier(), *binary, **{name: 0})


class TestFinalFit:
    @pytest.fixture
    def searched(self, binary, forest):
        """A student of the search, and the rows of a forest that was fitted to other rows than the table."""
        X, y = binary
        rows = split_rows(forest, X[:300], y[:300], None, (X[300:], y[300:]), seed=0)
        choice = rows.choice
        model = DistilledClassifier(choice.teacher, "tree", teacher_labels="out_of_bag", label_weight=0, max_nodes=31)
        return rows, model.fit(choice.X, choice.y, X_val=choice.X_val, y_val=choice.y_val)

    def test_teacher_without_out_of_bag_rows_of_the_table(self, searched):
        rows, model = searched
        final, reason = compress._fit_to_all_rows(model, rows)
        assert final is model
        assert reason == "the given teacher has no out-of-bag outputs of these training rows"

    def test_files_that_become_too_large(self, searched):
        rows, model = searched
        teacher = clone(rows.teacher).fit(rows.X, rows.y)
        rows = dataclasses.replace(rows, teacher=teacher)
        final, reason = compress._fit_to_all_rows(model, rows, max_bytes=10**9)
        assert (final.teacher, reason) == (teacher, "")
        final, reason = compress._fit_to_all_rows(model, rows, max_bytes=1)
        assert final is model
        assert reason == "the files of a student of all training rows exceed max_bytes"
