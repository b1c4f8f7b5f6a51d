from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular.folds import stratified_folds
from ganmc_lightning.tabular.label_sources import LABEL_SOURCES, SyntheticRows, label_real_rows
from ganmc_lightning.tabular.student_fitter import LOW_LEARNING_RATE, StudentFitter, StudiedStudent
from ganmc_lightning.tabular.student_study import RESERVED_NAMES, StudentStudy, StudentStudyConfig, select_best
from ganmc_lightning.tabular.study_config import StudySplits
from ganmc_lightning.tabular.teacher import fit_teacher
from ganmc_lightning.tabular.teacher_labels import CROSS_FIT_FOLDS
from ganmc_lightning.tabular.training_sets import LabeledSamples

FOREST = RandomForestClassifier(30)
JITTER = {"jitter": JitterSynthesizer(noise_std=0.2)}


def split(rows, one_hot_blocks=()):
    X, y = rows
    fit, validation, test = (LabeledSamples(X[part], y[part]) for part in np.split(np.arange(len(X)), [200, 300]))
    return StudySplits(fit, validation, fit, test, one_hot_blocks)


@pytest.fixture(scope="module", params=["binary", "three"])
def study(request):
    splits = split(request.getfixturevalue(request.param))
    config = StudentStudyConfig(node_ratio=10, synthetic_ratio=1, teacher=FOREST)
    return splits, StudentStudy(splits, config, JITTER, 0, log=lambda text: None).run()


def test_every_student_is_within_the_budget(study):
    _, metrics = study
    names = {key.split("/", 1)[1].rpartition("/")[0] for key in metrics if key.startswith("test/")} - {"teacher"}
    sets = [*LABEL_SOURCES, "jitter", "real+jitter", "best", "best_real", "best_synthetic"]
    assert names == {f"{kind}/{rows}" for kind in ("tree", "forest", "boosting") for rows in sets} | {*sets[-3:]}
    assert all(metrics[f"test/{name}/nodes"] <= metrics["test/teacher/nodes"] / 10 for name in names)
    assert all(0.5 < metrics[f"test/{name}/auc"] <= 1 for name in names)


def test_best_students_are_selected_on_validation_rows(study):
    _, metrics = study
    for prefix, kinds in (("", ("tree", "forest", "boosting")), ("tree/", ("tree",))):
        for name, rows in (("best_real", LABEL_SOURCES), ("best_synthetic", ("jitter", "real+jitter"))):
            candidates = [f"{kind}/{source}" for kind in kinds for source in rows]
            chosen = max(candidates, key=lambda candidate: metrics[f"val/{candidate}/auc"])
            assert metrics[f"val/{prefix}{name}/auc"] == metrics[f"val/{chosen}/auc"]
            assert metrics[f"test/{prefix}{name}/accuracy"] == metrics[f"test/{chosen}/accuracy"]
    highest = max(value for key, value in metrics.items() if key.startswith("val/"))
    assert metrics["val/best/auc"] in (highest, metrics["val/boosting/labels/auc"])


def test_teacher_is_scored_on_test_rows(study):
    splits, metrics = study
    forest = RandomForestClassifier(30, random_state=0).fit(splits.fit.X, splits.fit.y)
    probabilities = forest.predict_proba(splits.test.X)
    expected = roc_auc_score(
        splits.test.y, probabilities if len(forest.classes_) > 2 else probabilities[:, 1], multi_class="ovr"
    )
    assert metrics["test/teacher/auc"] == pytest.approx(expected)


def test_labels_of_real_rows_are_those_of_scikit_learn(three):
    splits = split(three)
    X, y = splits.fit.X, splits.fit.y
    unfitted = RandomForestClassifier(60, oob_score=True, random_state=0)
    teacher = fit_teacher(unfitted, X, y, 0)
    labels, in_bag, out_of_bag, cross_fit = label_real_rows(unfitted, teacher, splits.fit, 0)
    np.testing.assert_array_equal(labels.targets.argmax(axis=1), y)
    np.testing.assert_allclose(in_bag.targets, teacher.model.predict_proba(X))
    np.testing.assert_allclose(out_of_bag.targets, teacher.model.oob_decision_function_)
    folds = PredefinedSplit(stratified_folds(y, CROSS_FIT_FOLDS, 0))
    expected = cross_val_predict(unfitted, X, y, cv=folds, method="predict_proba")
    np.testing.assert_allclose(cross_fit.targets, expected)


def test_synthetic_rows_keep_constant_columns_and_categories(binary):
    X, y = binary
    codes = np.random.default_rng(0).integers(3, size=len(X))
    X = np.column_stack([X, np.full(len(X), 7.0), np.eye(3)[codes]])
    splits = split((X, y), one_hot_blocks=((7, 10),))
    teacher = fit_teacher(FOREST, splits.fit.X, splits.fit.y, 0)
    rows = SyntheticRows.draw(JITTER["jitter"], teacher, splits, 2, 0, "jitter")
    assert rows.X.shape == (400, 10)
    np.testing.assert_array_equal(rows.X[:, 6], 7)
    np.testing.assert_array_equal(rows.X[:, 7:].sum(axis=1), 1)
    np.testing.assert_allclose(rows.targets, teacher.predict_proba(rows.X))
    both = rows.added_to(label_real_rows(FOREST, teacher, splits.fit, 0)[1])
    assert (both.name, both.X.shape) == ("real+jitter", (600, 10))


class Sampler:
    """Samples with all columns, as those of a GAN or of another library."""

    def __init__(self, X):
        self.X = X

    def sample(self, n):
        return self.X[:n]


def test_samples_of_an_object_with_all_columns(binary):
    X = np.column_stack([np.full(len(binary[0]), 7.0), binary[0]])
    splits = split((X, binary[1]))
    teacher = fit_teacher(FOREST, splits.fit.X, splits.fit.y, 0)
    rows = SyntheticRows.draw(Sampler(X[::-1]), teacher, splits, 1, 0, "gan")
    np.testing.assert_array_equal(rows.X, X[::-1][:200])


def test_low_learning_rate_is_tried_for_boosting_only(binary):
    splits = split(binary)
    fitter = StudentFitter(splits, fit_teacher(FOREST, splits.fit.X, splits.fit.y, 0), 300, 0)
    rates = {shape.learning_rate for shape in fitter.shapes("boosting")}
    assert LOW_LEARNING_RATE in rates
    assert len(rates) == 3
    assert not any("learning_rate" in shape.get_params() for shape in fitter.shapes("tree"))


def student(name, score, influence=0.0):
    """A student whose AUC has the standard error ``influence / 10``, if that of the other student is 0."""
    return StudiedStudent(name, score, 3, np.zeros((1, 2)), None, influence * np.resize([1.0, -1.0], 100))


@pytest.mark.parametrize(("score", "best"), [(0.79, "boosting/labels"), (0.81, "tree/smote")])
def test_boosting_on_labels_is_the_best_up_to_one_standard_error(score, best):
    students = [student("boosting/labels", 0.7), student("tree/smote", score, 1.0)]
    selected = select_best(students, ["tree", "boosting"])
    assert selected["best"].name == best
    assert selected["best_synthetic"].name == "tree/smote"


def test_names_of_other_students_are_reserved():
    names = {name.rpartition("/")[2] for name in select_best([student("tree/labels", 0.7), student("tree/a", 0.7)], [])}
    assert set(RESERVED_NAMES) == {*LABEL_SOURCES, *names}


def test_without_boosting_the_highest_score_is_the_best():
    students = [student("tree/labels", 0.7), student("tree/smote", 0.71, 1.0)]
    assert select_best(students, ["tree"])["best"].name == "tree/smote"


def test_ties_are_won_by_the_first_student():
    students = [student(name, 0.5) for name in ("tree/labels", "tree/smote")]
    assert select_best(students, ["tree"])["best"].name == "tree/labels"
    assert select_best(students[:1], ["tree"]).keys() == {"best", "best_real", "tree/best", "tree/best_real"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"node_ratio": 0}, "node_ratio: got 0, expected a positive number"),
        ({"students": ("trees",)}, "students: got 'trees', expected tree, forest, boosting"),
        ({"students": ()}, "students: got none, expected one or more of tree, forest, boosting, once each"),
        (
            {"students": ("tree", "tree")},
            "students: got tree, tree, expected one or more of tree, forest, boosting, once each",
        ),
        ({"teacher": ExtraTreesClassifier()}, "teacher: got ExtraTreesClassifier without out-of-bag rows, expected"),
        ({"teacher": LogisticRegression()}, "teacher: got LogisticRegression without out-of-bag rows, expected"),
    ],
)
def test_invalid_configuration(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        StudentStudyConfig(**arguments)


def test_budget_that_no_student_meets(binary):
    config = StudentStudyConfig(node_ratio=1000, teacher=FOREST)
    with pytest.raises(ConfigurationError, match="node_ratio: 1 nodes are too few for the student tree"):
        StudentStudy(split(binary), config, {}, 0, log=lambda text: None).run()
