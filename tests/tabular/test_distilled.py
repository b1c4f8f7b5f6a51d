from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer, MungeSynthesizer, SmoteSynthesizer, StoredSynthesizer
from ganmc_lightning.tabular import DistilledClassifier

TEACHERS = [
    RandomForestClassifier(10),
    ExtraTreesClassifier(10),
    GradientBoostingClassifier(n_estimators=10),
    HistGradientBoostingClassifier(max_iter=10),
    make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=500, tol=1e-3)),
]


FULL_TREE = RandomForestRegressor(1)


class Recorder(DecisionTreeRegressor):
    """Student that records its training data."""

    def fit(self, X, y):
        self.seen_ = X, y
        return super().fit(X, y)


class Grid:
    """Third-party synthesizer that returns fixed samples."""

    def __init__(self, rows):
        self.rows = rows

    def sample(self, n):
        return self.rows[:n]


def plain(teacher=None, student=FULL_TREE, synthesizer=None, synthetic_ratio=9, training_data="both", **arguments):
    """One student on the teacher's in-bag probabilities, without selection."""
    return DistilledClassifier(
        teacher,
        student,
        synthesizer=synthesizer,
        synthetic_ratio=synthetic_ratio,
        training_data=training_data,
        teacher_labels="in_bag",
        label_weight=0,
        **arguments,
    )


def real(teacher=None, student=FULL_TREE, **arguments):
    return plain(teacher, student, training_data="real", random_state=0, **arguments)


class TestTrainingData:
    def test_real_samples_with_the_probability_of_the_second_class(self, binary):
        X, y = binary
        names = np.where(y == 1, "yes", "no")
        teacher = LogisticRegression(max_iter=2000).fit(X, names)
        model = real(teacher, Recorder()).fit(X, names)
        seen, targets = model.student_.seen_
        np.testing.assert_array_equal(seen, X)
        np.testing.assert_array_equal(targets, teacher.predict_proba(X)[:, 1])
        assert model.classes_.tolist() == ["no", "yes"]
        tree = DecisionTreeRegressor(random_state=0).fit(X, targets)
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], tree.predict(X), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(model.predict(X), np.where(tree.predict(X) > 0.5, "yes", "no"))

    def test_three_classes_are_three_targets(self, three):
        X, y = three
        teacher = RandomForestClassifier(10, random_state=0).fit(X, y)
        model = real(teacher, Recorder(max_leaf_nodes=20)).fit(X, y)
        np.testing.assert_array_equal(model.student_.seen_[1], teacher.predict_proba(X))
        answers = model.predict_proba(X)
        assert answers.shape == (400, 3)
        np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize(("training_data", "count"), [("synthetic", 1200), ("both", 1600)])
    def test_synthetic_samples(self, binary, training_data, count):
        X, y = binary
        teacher = RandomForestClassifier(10, random_state=0).fit(X, y)
        model = plain(teacher, Recorder(), JitterSynthesizer(0.05), 3, training_data, random_state=0).fit(X, y)
        rows, targets = model.student_.seen_
        assert len(rows) == count
        np.testing.assert_array_equal(targets, teacher.predict_proba(rows)[:, 1])
        synthetic = rows[-1200:]
        np.testing.assert_array_equal(rows[:-1200], X[: count - 1200])
        # in the units of the data: each sample is about 0.05 standard deviations from a real one
        nearest = (np.abs(synthetic[:, None] - X[None]) / X.std(axis=0)).max(axis=2).min(axis=1)
        assert 0.02 < np.median(nearest) < 0.15

    def test_class_weights_of_the_teacher_affect_the_student(self):
        X, y = make_classification(400, 4, n_informative=3, n_redundant=0, weights=[0.9], flip_y=0.1, random_state=0)
        means = []
        for weight in (None, {0: 1, 1: 20}):
            teacher = RandomForestClassifier(20, class_weight=weight, min_samples_leaf=10)
            means.append(
                real(teacher, DecisionTreeRegressor(max_leaf_nodes=30)).fit(X, y).predict_proba(X)[:, 1].mean()
            )
        assert means[0] < 0.25
        assert means[1] > 2 * means[0]

    def test_synthesizers_may_return_tensors_pairs_or_frames(self, binary):
        X, y = binary
        frame = pd.DataFrame(X, columns=list("abcdef"))
        rows = np.tile(X[::-1], (2, 1))
        teacher = RandomForestClassifier(5, random_state=0)
        made = [
            plain(teacher, Recorder(), Grid(samples), 2, "synthetic").fit(X, y)
            for samples in (rows, torch.from_numpy(rows))
        ]

        class Pairs(Grid):
            def sample(self, n):
                return self.rows[:n], np.zeros(n)

        made.append(plain(teacher, Recorder(), Pairs(rows), 2, "synthetic").fit(X, y))
        shuffled = pd.DataFrame(rows, columns=list("abcdef"))[list("fedcba")]
        made.append(plain(teacher, Recorder(), Grid(shuffled), 2, "synthetic").fit(frame, y))
        for model in made:
            np.testing.assert_array_equal(model.student_.seen_[0], rows)

    def test_a_data_frame_is_a_synthesizer(self, binary):
        """``DataFrame.sample`` has the required signature; the state of NumPy's global generator is restored."""
        X, y = binary
        frame = pd.DataFrame(X, columns=list("abcdef"))
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        pair = [
            plain(RandomForestClassifier(5), Recorder(), frame, 0.5, "synthetic", random_state=3).fit(frame, y)
            for _ in range(2)
        ]
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
        np.testing.assert_array_equal(pair[0].student_.seen_[0], pair[1].student_.seen_[0])
        assert not np.array_equal(pair[0].student_.seen_[0], X[:200])


class TestTeachers:
    @pytest.mark.parametrize("teacher", TEACHERS, ids=lambda teacher: type(teacher).__name__)
    def test_any_classifier(self, binary, teacher):
        X, y = binary
        model = plain(teacher, FULL_TREE, SmoteSynthesizer(), 2, random_state=0).fit(X, y)
        again = plain(teacher, FULL_TREE, SmoteSynthesizer(), 2, random_state=0).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
        assert roc_auc_score(y, model.predict_proba(X)[:, 1]) > 0.85
        with pytest.raises(AttributeError):
            teacher.classes_  # noqa: B018 - the given teacher stays unfitted

    @pytest.mark.parametrize(("package", "name"), [("xgboost", "XGBClassifier"), ("lightgbm", "LGBMClassifier")])
    def test_boosted_trees_of_other_libraries(self, binary, package, name):
        classifier = getattr(pytest.importorskip(package), name)
        X, y = binary
        for teacher in (classifier(n_estimators=5), classifier(n_estimators=5).fit(X, y)):
            model = real(teacher).fit(X, y)
            assert roc_auc_score(y, model.predict_proba(X)[:, 1]) > 0.85
            assert model.profile_.teacher.trees == 5

    def test_a_fitted_teacher_is_used_unchanged(self, binary):
        X, y = binary
        teacher = RandomForestClassifier(10, random_state=3).fit(X[:50], y[:50])
        model = real(teacher).fit(X, y)
        assert model.teacher_ is teacher

    def test_defaults_of_the_paper(self, binary):
        X, y = binary
        model = real().fit(X[:40], y[:40])
        assert isinstance(model.teacher_, RandomForestClassifier)
        assert len(model.teacher_.estimators_) == 500
        assert DistilledClassifier().get_params()["student"] == ("boosting", "tree")

    def test_any_object_with_predict_proba(self, binary):
        X, y = binary

        class Network:
            def predict_proba(self, rows):
                p = 1 / (1 + np.exp(-rows[:, 1]))
                return np.column_stack([1 - p, p])

        model = real(Network(), Recorder()).fit(X, y)
        np.testing.assert_allclose(model.student_.seen_[1], 1 / (1 + np.exp(-X[:, 1])), rtol=1e-9, atol=1e-12)
        assert model.profile_.teacher.bytes is None  # a class inside a function cannot be pickled
        assert np.isnan(model.profile_.compression_ratio)

    def test_a_student_as_teacher(self, binary):
        X, y = binary
        first = real(RandomForestClassifier(10)).fit(X, y)
        second = real(first.classifier_, DecisionTreeRegressor(max_leaf_nodes=4)).fit(X, y)
        assert second.profile_.student.nodes == 7

    def test_feature_names_of_data_frames(self, binary):
        X, y = binary
        frame = pd.DataFrame(X, columns=list("abcdef"))
        for teacher in (RandomForestClassifier(5), RandomForestClassifier(5).fit(frame, y)):
            model = plain(teacher, FULL_TREE, JitterSynthesizer(), 1, random_state=0).fit(frame, y)
            assert list(model.teacher_.feature_names_in_) == list("abcdef")
            model.predict(frame)
            model.classifier_.predict(frame)
            with pytest.raises(ValueError, match="feature names should match"):
                model.classifier_.predict(frame[list("bacdef")])


class TestStudents:
    def test_boosting_with_multiple_outputs(self, three):
        X, y = three
        student = MultiOutputRegressor(GradientBoostingRegressor(n_estimators=5, learning_rate=1.5))
        model = real(RandomForestClassifier(10), student).fit(X, y)
        answers = model.predict_proba(X)
        assert answers.min() >= 0
        np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-9, atol=1e-12)
        assert model.profile_.student.trees == 15

    def test_one_output_for_three_classes(self, three):
        with pytest.raises(ConfigurationError, match="student: GradientBoostingRegressor has one output, expected 3"):
            real(RandomForestClassifier(5), GradientBoostingRegressor()).fit(*three)

    def test_linear_regression(self, binary):
        X, y = binary
        model = real(RandomForestClassifier(10), LinearRegression()).fit(X, y)
        assert model.predict_proba(X).min() == 0
        assert model.profile_.student.nodes is None

    def test_the_pickled_classifier_is_small_and_predicts_equally(self, binary):
        X, y = binary
        model = plain(RandomForestClassifier(100), FULL_TREE, MungeSynthesizer(), 2, random_state=0).fit(X, y)
        shipped = pickle.dumps(model.classifier_)
        assert len(shipped) < len(pickle.dumps(model)) / 10
        np.testing.assert_array_equal(pickle.loads(shipped).predict_proba(X), model.predict_proba(X))
        np.testing.assert_array_equal(pickle.loads(shipped).predict(X), model.predict(X))


class TestSeeds:
    def test_equal_seeds_give_equal_students(self, binary):
        X, y = binary
        base = plain(RandomForestClassifier(5), FULL_TREE, JitterSynthesizer(), 2)
        first, again, other = (
            clone(base).set_params(random_state=seed).fit(X, y).predict_proba(X) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_random_state_of_the_teacher_is_kept(self, binary):
        X, y = binary
        teacher = RandomForestClassifier(5, random_state=7)
        expected = clone(teacher).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(real(teacher).fit(X, y).teacher_.predict_proba(X), expected)

    def test_the_given_synthesizer_is_not_modified(self, binary):
        X, y = binary
        synthesizer = JitterSynthesizer()
        plain(RandomForestClassifier(5), FULL_TREE, synthesizer, 1).fit(X, y)
        with pytest.raises(ConfigurationError, match="not fitted"):
            synthesizer.sample(1)


def test_profile(binary):
    X, y = binary
    model = real(RandomForestClassifier(50), DecisionTreeRegressor(max_leaf_nodes=8)).fit(X, y)
    made = model.profile_
    assert (made.teacher.trees, made.student.trees) == (50, 1)
    assert made.teacher.nodes == sum(tree.tree_.node_count for tree in model.teacher_.estimators_)
    assert made.student.nodes == 15
    assert made.teacher.bytes == len(pickle.dumps(model.teacher_))
    assert made.compression_ratio == made.teacher.bytes / made.student.bytes > 10
    assert made.speedup == made.teacher.seconds / made.student.seconds
    assert made.n_samples == 400


def test_stored_samples(binary, tmp_path):
    """A stored file contains z-scores, as written by ``ganmc sample``."""
    X, y = binary
    mean, std = X.mean(axis=0), X.std(axis=0)
    np.savez(tmp_path / "rows.npz", X=((X[:7] - mean) / std).astype(np.float32))
    synthesizer = StoredSynthesizer(str(tmp_path / "rows.npz"))
    model = plain(RandomForestClassifier(5), Recorder(), synthesizer, 1, "synthetic").fit(X, y)
    drawn = np.unique(model.student_.seen_[0], axis=0)
    np.testing.assert_allclose(drawn, np.unique(X[:7], axis=0), rtol=1e-5, atol=1e-3)


class TestInvalidInput:
    def test_infinity(self, binary):
        X, y = binary
        X = X.copy()
        X[3:5, 2] = np.inf
        with pytest.raises(
            ConfigurationError, match="X: column 2 contains infinity in 2 samples, expected finite values"
        ):
            real().fit(X, y)
        with pytest.raises(ConfigurationError, match="X: column 'c' contains infinity"):
            real().fit(pd.DataFrame(X, columns=list("abcdef")), y)

    @pytest.mark.parametrize(
        ("teacher", "student", "name"),
        [
            (LogisticRegression(), FULL_TREE, "teacher LogisticRegression"),
            (RandomForestClassifier(5), LinearRegression(), "student LinearRegression"),
        ],
    )
    def test_missing_values_that_a_model_does_not_accept(self, binary, teacher, student, name):
        X, y = binary
        X = X.copy()
        X[3:5, 2] = np.nan
        with pytest.raises(ConfigurationError, match=f"X: column 2 contains NaN in 2 samples, .* the {name}"):
            real(teacher, student).fit(X, y)

    def test_continuous_targets(self, binary):
        with pytest.raises(ConfigurationError, match=r"y: Unknown label type: continuous, .* use DistilledRegressor"):
            real().fit(binary[0], binary[0][:, 0])

    def test_a_written_index(self, binary):
        X, y = binary
        frame = pd.DataFrame(X).reset_index()
        with pytest.raises(ConfigurationError, match="X: column 'index' numbers the rows, expected a feature"):
            real().fit(frame, y)

    def test_one_class(self, binary):
        with pytest.raises(ConfigurationError, match="y: got one class, 1, expected two or more"):
            real().fit(binary[0], np.ones(400, dtype=int))

    def test_a_constant_column(self, binary):
        X, y = binary
        frame = pd.DataFrame(X, columns=list("abcdef")).assign(d=3.0)
        model = plain(RandomForestClassifier(5), FULL_TREE, JitterSynthesizer()).fit(frame, y)
        assert model.score(frame, y) > 0.7

    def test_fewer_samples_than_neighbors(self, binary):
        X, y = binary
        few = np.flatnonzero(y == 0)[:3]
        chosen = np.concatenate([np.flatnonzero(y == 1), few])
        with pytest.raises(ConfigurationError, match="class 0: got 3 rows, expected more than 5"):
            plain(RandomForestClassifier(5), FULL_TREE, SmoteSynthesizer()).fit(X[chosen], y[chosen])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"training_data": "both"}, "synthesizer: got None, required for training_data='both'"),
            ({"training_data": "all"}, "training_data: got 'all', expected one of auto, real, synthetic, both"),
            (
                {"synthesizer": JitterSynthesizer(), "synthetic_ratio": 0},
                "synthetic_ratio: got 0, expected a positive number",
            ),
            (
                {"teacher": LinearRegression(), "training_data": "real"},
                "teacher: LinearRegression has no predict_proba",
            ),
            (
                {"synthesizer": Grid(np.zeros((5, 6)))},
                r"sample\(3600\) of Grid returned shape \(5, 6\), expected \(3600, 6\)",
            ),
            ({"synthesizer": Grid(np.full((9999, 6), np.nan))}, "synthesizer: samples of Grid: column 0 contains NaN"),
            ({"synthesizer": Grid(np.full((9999, 6), "red"))}, "synthesizer: samples are not numeric"),
        ],
    )
    def test_arguments(self, binary, arguments, message):
        with pytest.raises(ConfigurationError, match=message):
            plain(**{"teacher": RandomForestClassifier(2), **arguments}).fit(*binary)

    def test_an_unfitted_synthesizer_of_another_library(self, binary):
        from sklearn.neighbors import KernelDensity

        with pytest.raises(NotFittedError, match="KernelDensity instance is not fitted"):
            plain(RandomForestClassifier(2), FULL_TREE, KernelDensity()).fit(*binary)

    def test_a_teacher_of_other_features(self, binary):
        X, y = binary
        with pytest.raises(
            ConfigurationError, match="teacher: RandomForestClassifier was fitted to 4 features, X has 6"
        ):
            real(RandomForestClassifier(2).fit(X[:, :4], y)).fit(X, y)
        frame = pd.DataFrame(X, columns=list("abcdef"))
        teacher = RandomForestClassifier(2).fit(frame.rename(columns={"c": "z"}), y)
        with pytest.raises(ConfigurationError, match="was fitted to the feature 'z', X has 'c' in its place"):
            real(teacher).fit(frame, y)

    def test_a_teacher_of_other_classes(self, binary):
        X, y = binary
        teacher = RandomForestClassifier(2).fit(X, y)
        with pytest.raises(ConfigurationError, match=r"was fitted to the classes \[0, 1\], y contains 2"):
            real(teacher).fit(X, y + 1)

    def test_a_teacher_with_too_few_columns_of_probabilities(self, binary):
        X, y = binary

        class Half:
            def predict_proba(self, rows):
                return np.ones((len(rows), 1))

        with pytest.raises(
            ConfigurationError, match=r"predict_proba of Half returned shape \(400, 1\), expected \(400, 2\)"
        ):
            real(Half()).fit(X, y)


def test_imports_neither_torch_nor_lightning():
    code = "import sys, ganmc_lightning.tabular, ganmc_lightning.tabular.study, ganmc_lightning.tabular.export\n"
    code += "print({'torch', 'lightning', 'skl2onnx', 'skops'} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"
