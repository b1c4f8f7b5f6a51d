from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import TabularGenerator
from ganmc_lightning.synthesizers import JitterSynthesizer, MungeSynthesizer, SmoteSynthesizer
from ganmc_lightning.tabular.checkpoint import GeneratorSampler
from ganmc_lightning.tabular.metrics import classification_metrics, roc_auc
from ganmc_lightning.tabular.sampling import sample_rows
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.students import BoostingKind
from ganmc_lightning.tabular.study import Study
from ganmc_lightning.tabular.study_config import StudyConfig, StudySplits
from ganmc_lightning.tabular.study_parts import StudyParts
from ganmc_lightning.tabular.tasks import fit_classification_student
from ganmc_lightning.tabular.teacher import Teacher, fit_teacher
from ganmc_lightning.tabular.training_sets import (
    LabeledSamples,
    make_training_sets,
    predict_soft_labels,
    synthesizer_seed,
)

CONFIG = StudyConfig(
    synthetic_ratio=2,
    max_trees=3,
    max_leaf_nodes=(3, 10, 30),
    min_samples_leaf=(1, 8),
    boosting_nodes=(60,),
    min_compression=40,
    teacher=RandomForestClassifier(30),
)
SYNTHESIZERS = {"jitter": JitterSynthesizer(0.1), "smote": SmoteSynthesizer()}


def make_splits(data, **parts):
    X, y = data
    cut = {
        "fit": LabeledSamples(X[:200], y[:200]),
        "validation": LabeledSamples(X[200:280], y[200:280]),
        "train": LabeledSamples(X[:280], y[:280]),
        "test": LabeledSamples(X[280:], y[280:]),
    }
    return StudySplits(**{**cut, **parts})


def run(splits, seed=0, n_jobs=1, config=CONFIG, synthesizers=SYNTHESIZERS):
    lines = []
    return Study(splits, config, synthesizers, seed, n_jobs, lines.append).run(), lines


def untimed(result):
    """Metrics that do not depend on time, and the number of labels only for a validation split outside ``train``."""
    return {key: v for key, v in result.metrics.items() if not key.endswith(("seconds", "speedup", "labeled_samples"))}


@pytest.fixture(scope="module")
def done(binary):
    return run(make_splits(binary))


TRAINING_SETS = ("labels", "real", "real_oob", "jitter", "real+jitter", "smote", "real+smote")


def test_every_training_set_has_all_students_and_metrics(done):
    result, lines = done
    names = {key.rpartition("/")[0] for key in result.metrics}
    assert names == {"teacher"} | {
        name + suffix for name in TRAINING_SETS for suffix in ("", "/forest", "/tuned", "/small", "/boosting_60")
    }
    for name in names:
        for metric in (
            "auc",
            "average_precision",
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
    assert len(lines) == 1 + len(TRAINING_SETS)
    document = json.loads(json.dumps(result.to_dict("auc")))
    for name, value in result.metrics.items():
        assert document["metrics"][f"test/{name}"] == value
    assert document["metrics"]["test/real/error"] == pytest.approx(1 - result.metrics["real/auc"], rel=1e-9, abs=1e-10)
    assert list(document["curves"]["real/auc"].values()) == result.curves["real"]["score"]
    assert set(result.curves) == set(result.sizes) == set(TRAINING_SETS)


def test_metrics_equal_plain_scikit_learn(binary, done):
    result, _ = done
    splits = make_splits(binary)
    X, y = splits.train[:2]
    teacher = RandomForestClassifier(30, random_state=0).fit(X, y)
    targets = teacher.predict_proba(X)[:, 1]
    wanted = {
        "teacher": teacher,
        "labels": StudentClassifier(RandomForestRegressor(1, random_state=0).fit(X, y), [0, 1]),
        "real": StudentClassifier(RandomForestRegressor(1, random_state=0).fit(X, targets), [0, 1]),
        "real/forest": StudentClassifier(RandomForestRegressor(3, random_state=0).fit(X, targets), [0, 1]),
    }
    for name, model in wanted.items():
        for metric, value in classification_metrics(splits.test.y, model.predict_proba(splits.test.X)).items():
            assert result.metrics[f"{name}/{metric}"] == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert result.metrics["teacher/bytes"] == len(pickle.dumps(result.teacher))
    assert result.metrics["teacher/compression_ratio"] == 1
    curve = result.curves["real"]
    assert curve["trees"] == [1, 2, 3]
    assert curve["score"][0] == pytest.approx(result.metrics["real/auc"], rel=1e-9, abs=1e-10)
    assert curve["score"][2] == pytest.approx(result.metrics["real/forest/auc"], rel=1e-9, abs=1e-10)


def test_sizes_are_selected_on_the_validation_split(binary, done):
    """Reference: a tree fitted to each size, with a teacher fitted without the validation split."""
    result, _ = done
    splits = make_splits(binary)
    X, y = splits.fit[:2]
    targets = RandomForestClassifier(30, random_state=0).fit(X, y).predict_proba(X)[:, 1]
    most = result.metrics["teacher/bytes"] / 40
    found = []
    for fewest in (1, 8):
        for size in (3, 10, 30):
            tree = DecisionTreeRegressor(max_leaf_nodes=size, min_samples_leaf=fewest, random_state=0).fit(X, targets)
            student = StudentClassifier(tree, [0, 1])
            score = roc_auc(splits.validation.y, student.predict_proba(splits.validation.X))
            found.append((score, -size, len(pickle.dumps(student)), fewest))
    best = max(found)
    small = max(item for item in found if item[2] <= most)
    assert best != small
    for kind, (score, size, _, fewest) in (("tuned", best), ("small", small)):
        assert result.validation[f"real/{kind}/auc"] == pytest.approx(score, rel=1e-9, abs=1e-10)
        assert result.metrics[f"real/{kind}/max_leaf_nodes"] == -size
        assert result.metrics[f"real/{kind}/min_samples_leaf"] == fewest
    assert result.metrics["real/small/compression_ratio"] >= 40
    everything = RandomForestClassifier(30, random_state=0).fit(*splits.train[:2]).predict_proba(splits.train.X)[:, 1]
    final = DecisionTreeRegressor(max_leaf_nodes=-small[1], min_samples_leaf=small[3], random_state=0)
    expected = roc_auc(
        splits.test.y,
        StudentClassifier(final.fit(splits.train.X, everything), [0, 1]).predict_proba(splits.test.X),
    )
    assert result.metrics["real/small/auc"] == pytest.approx(expected, rel=1e-9, abs=1e-10)
    position = result.sizes["real"]["max_leaf_nodes"].index(-small[1])
    assert result.sizes["real"]["score"][position] == pytest.approx(expected, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("minimums", [None, (2, 20, 60)])
def test_boosting_within_a_number_of_nodes(binary, minimums):
    """Reference: all estimators of the budget, fitted with a teacher without the validation split, and their AUC."""
    config = replace(CONFIG, boosting_min_samples_leaf=minimums, metric="accuracy")
    splits = make_splits(binary)
    result, _ = run(splits, config=config, synthesizers={})
    targets = RandomForestClassifier(30, random_state=0).fit(*splits.fit[:2]).predict_proba(splits.fit.X)
    scores = []
    for estimator in BoostingKind().estimators(2, 60, 200):
        for minimum in minimums or (estimator.min_samples_leaf,):
            estimator.set_params(min_samples_leaf=minimum)
            fitted = fit_classification_student(estimator, splits.fit.X, targets, None, 0)
            stages = BoostingKind().stages(fitted, splits.validation.X, 2)
            scores += [roc_auc(splits.validation.y, stage.predictions) for stage in stages]
    assert result.validation["real/boosting_60/auc"] == pytest.approx(max(scores), rel=1e-9)
    assert result.metrics["real/boosting_60/nodes"] <= 60


def test_small_trees_that_are_too_large_are_logged(binary):
    result, lines = run(make_splits(binary), config=replace(CONFIG, min_compression=300), synthesizers={})
    assert result.metrics["real/small/compression_ratio"] < 300
    assert result.metrics["real/small/max_leaf_nodes"] == 3
    assert "real/small: no tree is 300 times smaller than the teacher, the smallest one is used; add" in "".join(lines)


def test_a_smaller_boosting_budget_is_met_too(binary):
    config = replace(CONFIG, boosting_nodes=(20, 200), boosting_min_samples_leaf=(20, 80))
    result, _ = run(make_splits(binary), config=config, synthesizers={})
    assert result.metrics["labels/boosting_20/nodes"] <= 20 < result.metrics["labels/boosting_200/nodes"] <= 200
    alone, _ = run(make_splits(binary), config=replace(config, boosting_nodes=(20,)), synthesizers={})
    assert result.validation["labels/boosting_20/auc"] >= alone.validation["labels/boosting_20/auc"]
    three_classes = make_splits((binary[0], np.arange(400) % 3))
    with pytest.raises(ConfigurationError, match="boosting_nodes: got 5, expected at least 9"):
        run(three_classes, config=replace(CONFIG, boosting_nodes=(5,)), synthesizers={})


def test_labels_of_the_validation_split_are_counted(binary, done):
    part = make_splits(binary).fit
    assert {v for k, v in done[0].metrics.items() if k.endswith("labeled_samples")} == {280}
    generator = TabularGenerator(6, 2)
    gan = GeneratorSampler(generator, RowScaler.fit(torch.from_numpy(part.X).float()))
    result, _ = run(make_splits(binary, fit=part, train=part), synthesizers={"gan": gan, "jitter": JitterSynthesizer()})
    counts = {name: result.metrics[f"{name}/labeled_samples"] for name in ("real", "jitter", "gan", "real+gan")}
    assert counts == {"real": 200, "jitter": 200, "gan": 280, "real+gan": 280}
    assert result.metrics["real/small/labeled_samples"] == result.metrics["jitter/boosting_60/labeled_samples"] == 280


def test_sizes_selected_on_the_training_set_of_the_students(binary):
    """Fits shared by selection and report equal separate fits."""
    part = make_splits(binary).fit
    shared, _ = run(make_splits(binary, fit=part, train=part))
    separate, _ = run(make_splits(binary, fit=part, train=LabeledSamples(*part)))
    assert untimed(shared) == pytest.approx(untimed(separate), rel=1e-9, abs=1e-10)


def test_the_test_split_does_not_select_sizes(binary, done):
    splits = make_splits(binary)
    shuffled = LabeledSamples(splits.test.X, np.random.default_rng(0).permutation(splits.test.y))
    result, _ = run(make_splits(binary, test=shuffled))
    assert result.validation == done[0].validation
    for key in result.metrics:
        if key.endswith(("max_leaf_nodes", "nodes")):
            assert result.metrics[key] == done[0].metrics[key]


def test_results_depend_on_the_seed_not_on_n_jobs(binary, done):
    assert untimed(run(make_splits(binary), n_jobs=3)[0]) == pytest.approx(untimed(done[0]), rel=1e-9, abs=1e-10)
    assert untimed(run(make_splits(binary), seed=1)[0]) != untimed(done[0])


def test_three_classes(three):
    X, y = three
    splits = make_splits((X, y), fit=LabeledSamples(X[:280], y[:280]))
    teacher = RandomForestClassifier(20)
    config = replace(CONFIG, metric="accuracy", synthetic_ratio=1, max_leaf_nodes=(4, 20), teacher=teacher)
    result, _ = run(splits, config=config, synthesizers={"munge": MungeSynthesizer()})
    assert result.metrics["teacher/accuracy"] > result.metrics["labels/accuracy"] > 0.4
    assert 0.5 < result.metrics["munge/tuned/auc"] < 1
    assert result.students["munge/small"].predict_proba(X).shape == (400, 3)


def test_training_sets(binary):
    X, y = binary
    teacher = fit_teacher(RandomForestClassifier(5, random_state=0), X, y, 0)
    made = {
        training_set.name: training_set
        for training_set in make_training_sets(teacher, LabeledSamples(X, y), SYNTHESIZERS, 0.5, 7, 2)
    }
    assert tuple(made) == TRAINING_SETS
    np.testing.assert_array_equal(made["labels"].targets, y)
    forest = RandomForestClassifier(40, oob_score=True, random_state=0).fit(X, y)
    sets = make_training_sets(fit_teacher(forest, X, y, 0), LabeledSamples(X, y), {}, 1, 0)
    out_of_bag = next(item for item in sets if item.name == "real_oob")
    np.testing.assert_allclose(out_of_bag.targets, forest.oob_decision_function_[:, 1], atol=1e-12)
    rows = sample_rows(SYNTHESIZERS["smote"], X, y, 200, synthesizer_seed(7, "smote"))
    np.testing.assert_array_equal(made["smote"].X, rows)
    np.testing.assert_array_equal(made["smote"].targets, teacher.predict_proba(rows)[:, 1])
    np.testing.assert_array_equal(made["real+smote"].X, np.concatenate([X, rows]))
    assert len(made["real+smote"].targets) == 600
    assert synthesizer_seed(7, "smote") != synthesizer_seed(7, "jitter") != synthesizer_seed(8, "jitter")


def test_one_hot_blocks_are_projected(binary):
    X, y = binary
    blocks = np.column_stack([X, np.eye(3)[np.arange(400) % 3]])
    teacher = fit_teacher(RandomForestClassifier(5, random_state=0), blocks, y, 0)
    jitter = {"jitter": JitterSynthesizer(0.5)}
    *_, only, _ = make_training_sets(teacher, LabeledSamples(blocks, y), jitter, 1, 0, 1, [(6, 9)])
    assert set(map(tuple, only.X[:, 6:])) == set(map(tuple, np.eye(3)))
    *_, only, _ = make_training_sets(teacher, LabeledSamples(blocks, y), jitter, 1, 0, 1)
    assert len(np.unique(only.X[:, 6])) == 400


def test_soft_labels_do_not_depend_on_n_jobs(binary):
    X, y = binary
    teacher = Teacher(RandomForestClassifier(50, random_state=0).fit(X, y), np.array([0, 1]), None)
    np.testing.assert_allclose(
        predict_soft_labels(teacher, X, 1), predict_soft_labels(teacher, X, 3), rtol=1e-12, atol=1e-12
    )
    assert len(predict_soft_labels(teacher, X[:2], 5)) == 2


def test_a_split_without_a_class_is_rejected(binary):
    splits = make_splits(binary)
    ones = splits.validation.y == 1
    with pytest.raises(ConfigurationError, match="data: the validation split has no sample of class 0; add samples"):
        run(make_splits(binary, validation=LabeledSamples(splits.validation.X[ones], splits.validation.y[ones])))


def test_one_class_is_rejected(binary):
    X, _ = binary
    with pytest.raises(ConfigurationError, match="data: got one class, expected two or more"):
        run(make_splits((X, np.zeros(400, dtype=np.int64))))


def test_errors_name_the_synthesizer(binary):
    with pytest.raises(
        ConfigurationError, match=r"synthesizers\.far: synthesizer: SmoteSynthesizer: class 0: got \d+ rows"
    ):
        run(make_splits(binary), synthesizers={"far": SmoteSynthesizer(150)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_trees": 0}, "max_trees: got 0, expected a positive number"),
        ({"max_leaf_nodes": (1, 5)}, r"max_leaf_nodes: got \[1, 5\], expected one or more integers >= 2"),
        ({"boosting_min_samples_leaf": (0,)}, r"boosting_min_samples_leaf: got \[0\], expected one or more"),
        ({"min_samples_leaf": ()}, r"min_samples_leaf: got \[\], expected one or more integers >= 1"),
    ],
)
def test_invalid_config(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        StudyConfig(**arguments)


def test_magic_reproduces_table_3():
    """GAN-MC table 3 with a tenth of the teacher's trees."""
    file = Path(os.environ.get("GANMC_DATA", "absent")) / "magic.npz"
    if not file.exists():
        pytest.skip("needs magic.npz in $GANMC_DATA")
    with np.load(file) as arrays:
        train = LabeledSamples(arrays["X_train"].astype(float), arrays["y_train"].astype(np.int64))
        test = LabeledSamples(arrays["X_test"].astype(float), arrays["y_test"].astype(np.int64))
    if (len(train.X), len(test.X)) != (13_312, 5_707):
        pytest.skip("magic.npz does not have the split of the authors")
    teacher = fit_teacher(RandomForestClassifier(50), *train[:2], seed=0)
    made = {
        training_set.name: training_set
        for training_set in make_training_sets(teacher, train, {"jitter": JitterSynthesizer(0.1)}, 9, 0, 1)
    }

    def auc(name, student):
        answers = student.fit(made[name].X, made[name].targets).predict(test.X)
        return roc_auc(test.y, np.column_stack([1 - answers, answers]))

    assert roc_auc(test.y, teacher.predict_proba(test.X)) == pytest.approx(0.933, abs=0.003)
    assert auc("labels", RandomForestRegressor(1, random_state=0)) == pytest.approx(0.785, abs=0.01)
    assert auc("real", RandomForestRegressor(1, random_state=0)) == pytest.approx(0.893, abs=0.009)
    assert auc("jitter", DecisionTreeRegressor(max_leaf_nodes=1250, random_state=0)) > 0.912


class KilledError(Exception):
    """Stands for the end of the process."""


def stop_after(line):
    """Return a log that raises at a line."""

    def log(text):
        if text.startswith(f"{line}: "):
            raise KilledError

    return log


def test_a_stopped_study_continues_after_its_last_training_set(binary, done, tmp_path):
    splits, lines = make_splits(binary), []
    parts = StudyParts(tmp_path / "parts", key="a")
    with pytest.raises(KilledError):
        Study(splits, CONFIG, SYNTHESIZERS, 0, 1, stop_after("jitter"), parts).run()
    stored = {file.stem for file in parts.folder.iterdir()}
    assert stored == {"teacher", *TRAINING_SETS[: TRAINING_SETS.index("jitter") + 1]}
    study = Study(splits, CONFIG, SYNTHESIZERS, 0, 1, lines.append, parts)
    resumed = study.run()
    assert untimed(resumed) == untimed(done[0])
    assert list(resumed.metrics) == list(done[0].metrics)
    assert resumed.validation == done[0].validation
    assert resumed.sizes == done[0].sizes
    assert lines[1:] == [
        "4 of 7 training sets were finished before: labels, real, real_oob, jitter",
        *done[1][TRAINING_SETS.index("real+jitter") + 1 :],
    ]
    first = json.loads((parts.folder / "real.json").read_text())
    assert resumed.metrics["real/seconds"] == first["metrics"]["real/seconds"]  # not measured again
    assert resumed.earlier_seconds > first["seconds"] > 0

    name, student = study.best_small_student(resumed)
    best, expected = Study(splits, CONFIG, SYNTHESIZERS, 0, 1, lines.append).best_small_student(done[0])
    assert name == best
    del resumed.students[name]  # as if an earlier process had fitted it
    for model in (student, study.best_small_student(resumed)[1]):
        np.testing.assert_array_equal(model.predict_proba(splits.test.X), expected.predict_proba(splits.test.X))


def test_parts_of_another_study_or_teacher_are_computed_again(binary, done, tmp_path):
    splits = make_splits(binary)
    with pytest.raises(KilledError):
        Study(splits, CONFIG, {}, 0, 1, stop_after("labels"), StudyParts(tmp_path, key="a")).run()
    labels = json.loads((tmp_path / "labels.json").read_text())
    labels["metrics"]["labels/auc"] = 0.123
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "real.json").write_text("{")  # damaged
    for key, seed in (("b", 0), ("a", 1)):
        result = Study(splits, CONFIG, {}, seed, 1, str, StudyParts(tmp_path, key=key)).run()
        assert result.metrics["labels/auc"] != 0.123
        (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert Study(splits, CONFIG, {}, 0, 1, str, StudyParts(tmp_path, key="a")).run().metrics["labels/auc"] == 0.123
