"""Sample weights of teacher and student."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import DistilledClassifier, compress_table
from ganmc_lightning.tabular.card.text import notes_of
from ganmc_lightning.tabular.compress_rows import split_rows
from ganmc_lightning.tabular.folds import stratified_folds
from ganmc_lightning.tabular.sampling import MAX_ROUNDING, check_float32, extend_weights
from ganmc_lightning.tabular.study import Study
from ganmc_lightning.tabular.study_config import StudyConfig, StudySplits
from ganmc_lightning.tabular.tasks import ClassificationTask
from ganmc_lightning.tabular.teacher import fit_teacher
from ganmc_lightning.tabular.training_sets import LabeledSamples, make_training_sets
from ganmc_lightning.tabular.tree_size import TreeSize, fit_best_first_tree

TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
SMALL = DecisionTreeRegressor(max_leaf_nodes=8, random_state=0)


def plain(teacher, student=SMALL, synthesizer=None, synthetic_ratio=9, training_data="both", random_state=0):
    """One student on the teacher's in-bag probabilities, without selection."""
    return DistilledClassifier(
        teacher,
        student,
        synthesizer=synthesizer,
        synthetic_ratio=synthetic_ratio,
        training_data=training_data,
        teacher_labels="in_bag",
        label_weight=0,
        random_state=random_state,
    )


class Recorder(DecisionTreeRegressor):
    """Student that records its sample weights."""

    def fit(self, X, y, sample_weight=None):
        self.weights_ = sample_weight
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("fitted", [False, True])
def test_integer_weights_equal_repetition(binary, fitted):
    X, y = binary
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    teacher = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, y) if fitted else TREE
    model = plain(teacher, SMALL, training_data="real", random_state=0)
    weighted = model.fit(X, y, sample_weight=counts).predict_proba(X)
    repeated = model.fit(X.repeat(counts, axis=0), y.repeat(counts)).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-9)
    assert np.abs(weighted - model.fit(X, y).predict_proba(X)).max() > 0.05


def test_the_teacher_and_the_student_are_weighted(binary):
    X, y = binary
    weights = np.where(y == 1, 20.0, 1.0)
    teacher = RandomForestClassifier(20, min_samples_leaf=10, random_state=0)
    equal, weighted = (
        plain(teacher, Recorder(), JitterSynthesizer(0.1), 2, random_state=0).fit(X, y, sample_weight=given)
        for given in (None, weights)
    )
    assert weighted.teacher_.predict_proba(X)[:, 1].mean() > equal.teacher_.predict_proba(X)[:, 1].mean() + 0.1
    assert equal.student_.weights_ is None
    np.testing.assert_array_equal(weighted.student_.weights_[:400], weights)
    np.testing.assert_allclose(weighted.student_.weights_[400:], weights.mean())


def test_weights_of_a_pipeline_are_those_of_its_last_step(binary):
    X, y = binary
    weights = np.where(y == 1, 20.0, 1.0)
    teacher = fit_teacher(make_pipeline(StandardScaler(), TREE), X, y, 0, sample_weight=weights)
    expected = clone(TREE).fit(StandardScaler().fit_transform(X), y, weights)
    np.testing.assert_array_equal(teacher.predict_proba(X), expected.predict_proba(StandardScaler().fit_transform(X)))
    with pytest.raises(ConfigurationError, match="teacher: fit of KNeighborsClassifier has no sample_weight"):
        fit_teacher(make_pipeline(StandardScaler(), KNeighborsClassifier()), X, y, 0, sample_weight=weights)


@pytest.mark.parametrize("categories", [False, True])
def test_compression_uses_weights_for_teacher_and_student(binary, categories):
    X, y = binary
    X = pd.DataFrame(X).add_prefix("x")
    if categories:
        X["x0"] = np.where(X["x0"] > 0, "high", "low")
    counts = np.where(y[:300] == 1, 5, 1)
    train, held_out = np.arange(300), (X[300:], y[300:])
    arguments = {"validation": held_out, "test": held_out, "students": ["tree"], "max_nodes": 15, "seconds": 0.01}
    weighted = compress_table(TREE, X.iloc[train], y[train], sample_weight=counts, **arguments)
    repeated = compress_table(TREE, X.iloc[train.repeat(counts)], y[train.repeat(counts)], **arguments)
    np.testing.assert_allclose(weighted.rows.test_outputs, repeated.rows.test_outputs, atol=1e-9)
    equal = compress_table(TREE, X.iloc[train], y[train], **arguments)
    means = [result.student.predict_proba(X)[:, 1].mean() for result in (equal, weighted)]
    assert means[1] > means[0] + 0.1


def test_teacher_without_weights_labels_rows_that_it_is_not_fitted_to(binary):
    X, y = binary
    held_out = {"validation": (X[300:], y[300:]), "test": (X[300:], y[300:])}
    arguments = {**held_out, "students": ["tree"], "max_nodes": 15, "seconds": 60}
    teacher = KNeighborsClassifier().fit(X[:300], y[:300])
    result = compress_table(teacher, X[:300], y[:300], sample_weight=np.ones(300), **arguments)
    assert {item.candidate.teacher_labels for item in result.tried} == {"labels", "in_bag"}
    assert "Fitted with sample weights; the scores weight all rows equally." in notes_of(result)
    with pytest.raises(
        ConfigurationError, match="fit of KNeighborsClassifier has no sample_weight; remove the weights"
    ):
        compress_table(teacher, X, y, sample_weight=np.ones(len(y)))


def test_held_out_rows_take_their_weights_along(binary):
    X, y = binary
    weights = 1 + np.arange(len(y), dtype=np.float64)
    rows = split_rows(TREE, X, y, None, None, 0, weights)
    for part in (rows, rows.choice):
        np.testing.assert_array_equal(part.X, X[part.sample_weight.astype(int) - 1])
    expected = clone(TREE).fit(rows.X, rows.y, rows.sample_weight)
    np.testing.assert_array_equal(rows.test_outputs, expected.predict_proba(rows.X_test))


def test_only_the_teacher_is_weighted_for_synthetic_training_data(binary):
    X, y = binary
    weights = np.where(y == 1, 20.0, 1.0)
    arguments = (Recorder(), JitterSynthesizer(0.1), 1, "synthetic", 0)
    model = plain(TREE, *arguments).fit(X, y, sample_weight=weights)
    teacher = clone(TREE).fit(X, y, weights)
    np.testing.assert_allclose(model.teacher_.predict_proba(X), teacher.predict_proba(X))
    assert model.student_.weights_ is None
    with pytest.raises(ConfigurationError, match="sample_weight has no effect with a fitted teacher"):
        plain(teacher, *arguments).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize(
    ("teacher", "student", "name"),
    [
        (KNeighborsClassifier(), SMALL, "teacher: fit of KNeighborsClassifier"),
        (TREE, KNeighborsRegressor(), "student: fit of KNeighborsRegressor"),
        (TREE, MultiOutputRegressor(KNeighborsRegressor()), "student: fit of KNeighborsRegressor"),
    ],
)
def test_estimators_without_sample_weight_are_rejected(binary, teacher, student, name):
    X, y = binary
    with pytest.raises(ConfigurationError, match=f"{name} has no sample_weight"):
        plain(teacher, student, training_data="real").fit(X, y, sample_weight=np.ones(len(y)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight: got shape \(3,\)"),
        (np.full(400, -1.0), "sample_weight: got -1.0, expected finite values of at least 0"),
        (np.zeros(400), "sample_weight: got a weight of zero for every sample"),
    ],
)
def test_invalid_weights(binary, weights, message):
    with pytest.raises(ConfigurationError, match=message):
        plain(TREE, training_data="real").fit(*binary, sample_weight=weights)


def test_training_sets_contain_the_weights(binary):
    X, y = binary
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    teacher = fit_teacher(ExtraTreesClassifier(3), X, y, 0, sample_weight=weights)
    made = {
        item.name: item
        for item in make_training_sets(
            teacher, LabeledSamples(X, y, weights), {"jitter": JitterSynthesizer(0.1)}, 1, 0, 1
        )
    }
    for name in ("labels", "real"):
        np.testing.assert_array_equal(made[name].sample_weight, weights)
    assert made["jitter"].sample_weight is None
    np.testing.assert_array_equal(made["real+jitter"].sample_weight, extend_weights(weights, len(y)))


def test_study_with_weights_equals_study_with_repeated_samples(binary):
    X, y = binary
    counts = np.random.default_rng(1).integers(1, 4, 200)
    settings = StudyConfig(
        max_trees=1,
        max_leaf_nodes=(4, 8),
        min_samples_leaf=(1,),
        min_compression=1,
        teacher=DecisionTreeClassifier(max_depth=5),
    )
    answers = []
    for part in (
        LabeledSamples(X[:200], y[:200], counts.astype(float)),
        LabeledSamples(X[:200].repeat(counts, 0), y[:200].repeat(counts)),
    ):
        held_out = LabeledSamples(X[200:], y[200:])
        result = Study(StudySplits(part, held_out, part, held_out), settings, {}, 0, log=lambda text: None).run()
        answers.append([result.students[name].predict_proba(X) for name in ("labels/tuned", "real/small")])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-9)


def test_best_first_tree_is_weighted(binary):
    X, y = binary
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    tree = DecisionTreeRegressor(max_leaf_nodes=9, random_state=0).fit(X, y, weights)
    np.testing.assert_allclose(
        fit_best_first_tree(X, y, TreeSize(9, 1), 0, weights).regressor.predict(X), tree.predict(X)
    )


def test_values_that_float32_cannot_represent_are_rejected():
    times = 1_700_000_000 + np.arange(60.0)
    rows = np.column_stack([np.arange(60.0), times])
    labels = np.arange(60) // 30
    with pytest.raises(ConfigurationError, match="X: column 1 has values near 1700000000, which float32"):
        plain(TREE, training_data="real").fit(rows, labels)
    rows[:, 1] -= times.mean()
    plain(TREE, training_data="real").fit(rows, labels)


def test_small_float32_rounding_is_accepted():
    random = np.random.default_rng(0)
    rows = np.column_stack([random.normal(size=300), 1e6 + 1000 * random.normal(size=300), np.full(300, 1e9 + 1)])
    assert np.abs(rows.astype(np.float32) - rows)[:, 1].max() < MAX_ROUNDING * 1000
    check_float32(rows, None)


def test_scores_where_few_rows_of_a_class_have_weight(binary):
    """Two of the five validation parts have no row of class 1 and positive weight, and are not scored."""
    X, y = binary
    weights = (y == 0).astype(float)
    weights[np.flatnonzero(y == 1)[:3]] = 1
    model = DistilledClassifier(TREE, "tree", max_nodes=31, random_state=0).fit(X, y, weights)
    assert np.isfinite([candidate.score for candidate in model.selection_]).all()
    folds = stratified_folds(y, 5, 0, weights)
    assert len(np.unique(folds[(weights > 0) & (y == 1)])) == 3


def test_weights_of_validation_rows_are_checked(binary):
    X, y = binary
    model = DistilledClassifier(TREE, "tree", max_nodes=31, random_state=0)
    weights = np.where(y == 1, 0.0, 1.0)
    with pytest.raises(ConfigurationError, match="sample_weight_val: got zero for all samples of class 1"):
        model.fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)


def test_a_score_that_is_nan_is_an_error(binary, monkeypatch):
    monkeypatch.setattr(ClassificationTask, "score", lambda *_: np.nan)
    with pytest.raises(ConfigurationError, match="student: got the score NaN of tree, expected a number"):
        DistilledClassifier(TREE, "tree", max_nodes=31, random_state=0).fit(*binary)
