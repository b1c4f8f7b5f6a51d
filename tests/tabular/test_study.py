from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer, MungeSynthesizer, SmoteSynthesizer
from ganmc_lightning.tabular.metrics import classification_metrics, roc_auc
from ganmc_lightning.tabular.sampling import sample_rows
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.study import Study
from ganmc_lightning.tabular.study_config import StudyConfig, Table
from ganmc_lightning.tabular.teacher import Teacher, fit_teacher
from ganmc_lightning.tabular.training_sets import Part, ask, seed_of, training_sets

SETTINGS = StudyConfig(
    synthetic_ratio=2,
    max_trees=3,
    leaf_nodes=(3, 10, 30),
    min_samples_leaf=(1, 8),
    compression_ratio=40,
    teacher=RandomForestClassifier(30),
)
SYNTHESIZERS = {"jitter": JitterSynthesizer(0.1), "smote": SmoteSynthesizer()}


def make_table(data, **parts):
    X, y = data
    cut = {
        "fit": Part(X[:200], y[:200]),
        "validation": Part(X[200:280], y[200:280]),
        "train": Part(X[:280], y[:280]),
        "test": Part(X[280:], y[280:]),
    }
    return Table(**{**cut, **parts})


def run(table, seed=0, jobs=1, settings=SETTINGS, synthesizers=SYNTHESIZERS):
    told = []
    return Study(table, settings, synthesizers, seed, jobs, told.append).run(), told


@pytest.fixture(scope="module")
def done(binary):
    return run(make_table(binary))


ROWS = ("student_only", "real", "jitter_only", "jitter_pooled", "smote_only", "smote_pooled")


def test_every_row_has_every_student_with_every_number(done):
    result, told = done
    names = {key.rpartition("/")[0] for key in result.metrics}
    assert names == {"teacher"} | {row + kind for row in ROWS for kind in ("", "_forest", "_tuned", "_small")}
    for name in names:
        for metric in (
            "auc",
            "accuracy",
            "log_loss",
            "ece",
            "trees",
            "nodes",
            "bytes",
            "seconds",
            "compression_ratio",
            "speedup",
        ):
            assert np.isfinite(result.metrics[f"{name}/{metric}"])
    assert len(told) == 2 + len(ROWS)
    document = json.loads(json.dumps(result.document("auc")))
    for name, value in result.metrics.items():
        assert document["metrics"][f"test/{name}"] == value
    assert document["metrics"]["test/real/error"] == pytest.approx(1 - result.metrics["real/auc"], rel=1e-9, abs=1e-10)
    assert list(document["curves"]["real/auc"].values()) == result.curves["real"]["score"]
    assert set(result.curves) == set(result.sizes) == set(ROWS)


def test_numbers_of_real_rows_against_plain_scikit_learn(binary, done):
    result, _ = done
    table = make_table(binary)
    X, y = table.train[:2]
    teacher = RandomForestClassifier(30, random_state=0).fit(X, y)
    targets = teacher.predict_proba(X)[:, 1]
    wanted = {
        "teacher": teacher,
        "student_only": StudentClassifier(RandomForestRegressor(1, random_state=0).fit(X, y), [0, 1]),
        "real": StudentClassifier(RandomForestRegressor(1, random_state=0).fit(X, targets), [0, 1]),
        "real_forest": StudentClassifier(RandomForestRegressor(3, random_state=0).fit(X, targets), [0, 1]),
    }
    for name, model in wanted.items():
        for metric, value in classification_metrics(table.test.labels, model.predict_proba(table.test.rows)).items():
            assert result.metrics[f"{name}/{metric}"] == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert result.metrics["teacher/bytes"] == len(pickle.dumps(result.teacher))
    assert result.metrics["teacher/compression_ratio"] == 1
    curve = result.curves["real"]
    assert curve["trees"] == [1, 2, 3]
    assert curve["score"][0] == pytest.approx(result.metrics["real/auc"], rel=1e-9, abs=1e-10)
    assert curve["score"][2] == pytest.approx(result.metrics["real_forest/auc"], rel=1e-9, abs=1e-10)


def test_sizes_are_chosen_on_validation_rows(binary, done):
    """Against trees grown one by one to each size, with a teacher that knows no validation row."""
    result, _ = done
    table = make_table(binary)
    X, y = table.fit[:2]
    targets = RandomForestClassifier(30, random_state=0).fit(X, y).predict_proba(X)[:, 1]
    most = result.metrics["teacher/bytes"] / 40
    found = []
    for fewest in (1, 8):
        for size in (3, 10, 30):
            tree = DecisionTreeRegressor(max_leaf_nodes=size, min_samples_leaf=fewest, random_state=0).fit(X, targets)
            student = StudentClassifier(tree, [0, 1])
            score = roc_auc(table.validation.labels, student.predict_proba(table.validation.rows))
            found.append((score, -size, len(pickle.dumps(student)), fewest))
    best = max(found)
    small = max(item for item in found if item[2] <= most)
    assert best != small
    for kind, (score, size, _, fewest) in (("tuned", best), ("small", small)):
        assert result.validation[f"real_{kind}/auc"] == pytest.approx(score, rel=1e-9, abs=1e-10)
        assert result.metrics[f"real_{kind}/leaf_nodes"] == -size
        assert result.metrics[f"real_{kind}/min_samples_leaf"] == fewest
    assert result.metrics["real_small/compression_ratio"] >= 40
    everything = RandomForestClassifier(30, random_state=0).fit(*table.train[:2]).predict_proba(table.train.rows)[:, 1]
    final = DecisionTreeRegressor(max_leaf_nodes=-small[1], min_samples_leaf=small[3], random_state=0)
    expected = roc_auc(
        table.test.labels,
        StudentClassifier(final.fit(table.train.rows, everything), [0, 1]).predict_proba(table.test.rows),
    )
    assert result.metrics["real_small/auc"] == pytest.approx(expected, rel=1e-9, abs=1e-10)
    position = result.sizes["real"]["leaf_nodes"].index(-small[1])
    assert result.sizes["real"]["score"][position] == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_the_test_rows_choose_nothing(binary, done):
    table = make_table(binary)
    shuffled = Part(table.test.rows, np.random.default_rng(0).permutation(table.test.labels))
    result, _ = run(make_table(binary, test=shuffled))
    assert result.validation == done[0].validation
    for key in result.metrics:
        if key.endswith(("leaf_nodes", "nodes")):
            assert result.metrics[key] == done[0].metrics[key]


def test_seeds_and_threads(binary, done):
    timed = ("seconds", "speedup")

    def numbers(result):
        return {key: value for key, value in result.metrics.items() if not key.endswith(timed)}

    assert numbers(run(make_table(binary), jobs=3)[0]) == pytest.approx(numbers(done[0]), rel=1e-9, abs=1e-10)
    assert numbers(run(make_table(binary), seed=1)[0]) != numbers(done[0])


def test_three_classes(three):
    X, y = three
    table = make_table((X, y), fit=Part(X[:280], y[:280]))
    settings = StudyConfig("accuracy", 1, 2, (4, 20), (1,), 10, RandomForestClassifier(20))
    result, _ = run(table, settings=settings, synthesizers={"munge": MungeSynthesizer()})
    assert result.metrics["teacher/accuracy"] > result.metrics["student_only/accuracy"] > 0.4
    assert 0.5 < result.metrics["munge_only_tuned/auc"] < 1
    assert result.students["munge_only_small"].predict_proba(X).shape == (400, 3)


def test_lessons(binary):
    X, y = binary
    teacher = fit_teacher(RandomForestClassifier(5, random_state=0), X, y, 0)
    made = {
        training_set.name: training_set for training_set in training_sets(teacher, Part(X, y), SYNTHESIZERS, 0.5, 7, 2)
    }
    assert tuple(made) == ROWS
    np.testing.assert_array_equal(made["student_only"].targets, y)
    rows = sample_rows(SYNTHESIZERS["smote"], X, y, 200, seed_of(7, "smote"))
    np.testing.assert_array_equal(made["smote_only"].rows, rows)
    np.testing.assert_array_equal(made["smote_only"].targets, teacher.probabilities(rows)[:, 1])
    np.testing.assert_array_equal(made["smote_pooled"].rows, np.concatenate([X, rows]))
    assert len(made["smote_pooled"].targets) == 600
    assert seed_of(7, "smote") != seed_of(7, "jitter") != seed_of(8, "jitter")


def test_one_hot_blocks_stay_whole(binary):
    X, y = binary
    blocks = np.column_stack([X, np.eye(3)[np.arange(400) % 3]])
    teacher = fit_teacher(RandomForestClassifier(5, random_state=0), blocks, y, 0)
    jitter = {"jitter": JitterSynthesizer(0.5)}
    *_, only, _ = training_sets(teacher, Part(blocks, y), jitter, 1, 0, 1, [(6, 9)])
    assert set(map(tuple, only.rows[:, 6:])) == set(map(tuple, np.eye(3)))
    *_, only, _ = training_sets(teacher, Part(blocks, y), jitter, 1, 0, 1)
    assert len(np.unique(only.rows[:, 6])) == 400


def test_answers_do_not_depend_on_threads(binary):
    X, y = binary
    teacher = Teacher(RandomForestClassifier(50, random_state=0).fit(X, y), np.array([0, 1]), None)
    np.testing.assert_allclose(ask(teacher, X, 1), ask(teacher, X, 3), rtol=1e-12, atol=1e-12)
    assert len(ask(teacher, X[:2], 5)) == 2


def test_a_part_without_a_class(binary):
    table = make_table(binary)
    ones = table.validation.labels == 1
    with pytest.raises(ConfigurationError, match="the validation part has no row of class 0: give more rows"):
        run(make_table(binary, validation=Part(table.validation.rows[ones], table.validation.labels[ones])))


def test_one_class(binary):
    X, _ = binary
    with pytest.raises(ConfigurationError, match="the data have one class only"):
        run(make_table((X, np.zeros(400, dtype=np.int64))))


def test_a_synthesizer_that_refuses_is_named(binary):
    with pytest.raises(
        ConfigurationError, match=r"synthesizers\.far: SmoteSynthesizer: class 0: \d+ rows are too few for 150"
    ):
        run(make_table(binary), synthesizers={"far": SmoteSynthesizer(150)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_trees": 0}, "max_trees must be positive, got 0"),
        ({"leaf_nodes": (1, 5)}, r"leaf_nodes must be one number or more from 2 up, got \[1, 5\]"),
        ({"min_samples_leaf": ()}, "min_samples_leaf must be one number or more from 1 up"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        StudyConfig(**arguments)


def test_magic():
    """The orders of the paper's Table 3, with a tenth of its trees."""
    file = Path(os.environ.get("GANMC_DATA", "absent")) / "magic.npz"
    if not file.exists():
        pytest.skip("needs magic.npz in $GANMC_DATA")
    with np.load(file) as held:
        train = Part(held["X_train"].astype(float), held["y_train"].astype(np.int64))
        test = Part(held["X_test"].astype(float), held["y_test"].astype(np.int64))
    if (len(train.rows), len(test.rows)) != (13_312, 5_707):
        pytest.skip("this magic.npz is another split than the authors'")
    teacher = fit_teacher(RandomForestClassifier(50), *train[:2], seed=0)
    made = {
        training_set.name: training_set
        for training_set in training_sets(teacher, train, {"jitter": JitterSynthesizer(0.1)}, 9, 0, 1)
    }

    def auc(name, student):
        answers = student.fit(made[name].rows, made[name].targets).predict(test.rows)
        return roc_auc(test.labels, np.column_stack([1 - answers, answers]))

    assert roc_auc(test.labels, teacher.probabilities(test.rows)) == pytest.approx(0.933, abs=0.003)
    assert auc("student_only", RandomForestRegressor(1, random_state=0)) == pytest.approx(0.785, abs=0.01)
    assert auc("real", RandomForestRegressor(1, random_state=0)) == pytest.approx(0.893, abs=0.009)
    assert auc("jitter_only", DecisionTreeRegressor(max_leaf_nodes=1250, random_state=0)) > 0.912
