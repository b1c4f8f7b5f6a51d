from __future__ import annotations

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.reading import load_experiment


def test_a_good_file(experiment_file):
    experiment = load_experiment(experiment_file)
    assert (experiment.name, experiment.metric, experiment.mode) == ("tiny", "accuracy", "max")
    assert experiment.seeds == (0, 1, 2)
    assert list(experiment.stages) == ["teacher", "gan", "alone", "mixed_02", "mixed_05"]
    folder = experiment_file.parent
    assert experiment.stages["alone"].configs == (folder / "student.yaml", folder / "more.yaml")
    assert not experiment.stages["gan"].test
    assert experiment.rows[0].paper == 0.781
    assert experiment.sweeps[0].points == {0.2: "mixed_02", 0.5: "mixed_05"}


def test_dependencies_are_the_declared_ones_and_those_named_in_braces(experiment_file):
    assert set(load_experiment(experiment_file).stages["mixed_02"].needs) == {"gan", "teacher"}


def test_dependencies_are_found_inside_nested_values(edited):
    file = edited("config: [student.yaml, more.yaml]", "config: student.yaml, overrides: {m: {a: ['{gan}/x']}}")
    assert load_experiment(file).stages["alone"].needs == ("gan",)


def test_several_sweeps(edited):
    text = "sweep: [{x_label: a, points: {1: alone}}, {x_label: b, points: {2: gan}}]\n  unused:"
    file = edited("sweep:", text)
    with pytest.raises(ConfigurationError, match=r"'report.unused' is not a key here"):
        load_experiment(file)


BAD = [
    ("experiment: tiny", "experiment: a/b", r"'experiment' names a folder"),
    ("experiment: tiny", "", r"'experiment' is missing"),
    ("experiment: tiny", "experiment: tiny\nsede: 1", r"'sede' is not a key here; did you mean 'seeds'\?"),
    ("seeds: [0, 1, 2]", "seeds: [0, 0]", r"seeds must differ"),
    ("seeds: [0, 1, 2]", "seeds: 3", r"seeds must be a list of whole numbers"),
    ("seeds: [0, 1, 2]", "mode: best", r"'mode' must be max or min"),
    ("seeds: [0, 1, 2]", "seeds: [0]\nseeds: [1]", r"key 'seeds' is given twice \(line 5\)"),
    ("seeds: [0, 1, 2]", "seeds: [0", r"not valid YAML"),
    ("config: teacher.yaml,", "", r"'stages.teacher.config' is missing"),
    ("config: teacher.yaml", "config: 3", r"'stages.teacher.config' must be text or a list"),
    ("config: teacher.yaml", "config: none.yaml", r"'stages.teacher.config' names a file that is not there"),
    ("config: teacher.yaml", "konfig: a", r"'stages.teacher.config' is missing"),
    ("test: false", "test: 0", r"'stages.gan.test' must be true or false"),
    ("test: false", "overrides: [1]", r"'stages.gan.overrides' must be a mapping"),
    ("test: false", "overrides: {a: '{techer}/x'}", r"'stages.gan' refers to an unknown stage: 'techer'; did you"),
    ("test: false", "needs: alone", r"does not come before: 'alone'; move that stage up"),
    ("test: false", "needs: gan", r"does not come before: 'gan'"),
    ("{config: gan.yaml, test: false}", "gan.yaml", r"'stages.gan' must be a mapping"),
    ("gan: {config", "gan: {config: gan.yaml}\n  gan: {config", r"key 'gan' is given twice"),
    ("gan: {config", "figures: {config", r"'stages.figures' is the report's own folder"),
    ("stage: teacher,", "stage: student,", r"'report.rows\[0\].stage' names an unknown stage 'student'"),
    ("stage: teacher,", "", r"'report.rows\[0\]' needs either 'stage' or 'best_of'"),
    ("stage: teacher,", "stage: teacher, best_of: [gan],", r"needs either 'stage' or 'best_of'"),
    ("best_of: [mixed_02,", "best_of: [gan,", r"'report.rows\[2\].best_of' mixes stages with and without"),
    ("paper: 0.781", "paper: high", r"'report.rows\[0\].paper' must be a number"),
    ('name: "labels only"', "name: teacher", r"two rows named 'teacher'"),
    ("{0.2: mixed_02,", "{low: mixed_02,", r"'report.sweep\[0\].points' must map numbers to stages"),
    ("references: [alone, teacher]", "references: [x]", r"'report.sweep\[0\].references' names an unknown"),
    ("stages: [teacher, alone, mixed_02]", "steps: 1", r"'report.curves\[0\].stages' is missing"),
    ("sample_grids: [gan]", "sample_grids: {a: b}", r"'report.sample_grids' must be text or a list"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=range(len(BAD)))
def test_a_mistake_is_named_in_one_line_with_the_file(edited, old, new, message):
    file = edited(old, new)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_experiment(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigurationError, match="no such file"):
        load_experiment(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "[1]", "experiment: x\nstages: {}"])
def test_files_without_stages(tmp_path, text):
    file = tmp_path / "x.experiment.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="must"):
        load_experiment(file)
