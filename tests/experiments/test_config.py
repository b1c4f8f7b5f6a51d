from __future__ import annotations

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import load_experiment


def test_valid_file(experiment_file):
    experiment = load_experiment(experiment_file)
    assert (experiment.name, experiment.metric, experiment.mode) == ("tiny", "accuracy", "max")
    assert experiment.seeds == (0, 1, 2)
    assert list(experiment.stages) == ["teacher", "gan", "alone", "mixed_02", "mixed_05"]
    folder = experiment_file.parent
    assert experiment.stages["alone"].configs == (folder / "student.yaml", folder / "more.yaml")
    assert not experiment.stages["gan"].test
    assert experiment.report.rows[0].paper == 0.781
    assert experiment.report.sweep[0].x_to_stage == {0.2: "mixed_02", 0.5: "mixed_05"}


def test_needs_are_declared_stages_and_placeholders(experiment_file):
    assert set(load_experiment(experiment_file).stages["mixed_02"].needs) == {"gan", "teacher"}


def test_placeholders_are_found_in_nested_values(edited):
    file = edited("config: [student.yaml, more.yaml]", "config: student.yaml, overrides: {m: {a: ['{gan}/x']}}")
    assert load_experiment(file).stages["alone"].needs == ("gan",)


def test_one_section_or_a_list_of_sections(edited):
    assert [sweep.x_label for sweep in load_experiment(edited("seeds: [0, 1, 2]", "")).report.sweep] == ["p_fake"]
    text = "sweep: [{x_label: a, x_to_stage: {1: alone}}, {x_label: b, x_to_stage: {2: teacher, 1: alone}}]\n  unused:"
    file = edited("  sweep:", f"  {text}")
    with pytest.raises(ConfigurationError, match=r": report\.unused: unexpected key, expected one of: rows, "):
        load_experiment(file)
    file.write_text(file.read_text().partition("  unused:")[0])
    first, second = load_experiment(file).report.sweep
    assert (first.x_label, first.x_to_stage) == ("a", {1.0: "alone"})
    assert list(second.x_to_stage.items()) == [(1.0, "alone"), (2.0, "teacher")]


def test_defaults(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1")
    file = tmp_path / "x.experiment.yaml"
    file.write_text("experiment: x\nstages: {a: {config: a.yaml}}")
    experiment = load_experiment(file)
    assert (experiment.title, experiment.seeds, experiment.metric, experiment.mode) == ("x", (0,), "accuracy", "max")
    assert (experiment.quick, experiment.report.rows, experiment.report.sample_grids) == ({}, (), ())
    stage = experiment.stages["a"]
    assert (stage.name, stage.test, stage.shared, stage.needs, stage.command) == ("a", True, False, (), ())


BAD = [
    ("experiment: tiny", "experiment: a/b", ": experiment: got 'a/b', expected letters, digits, '_' and '-' "),
    ("experiment: tiny", "", ": experiment: required key is missing"),
    ("experiment: tiny", "experiment: tiny\nsede: 1", ": sede: unexpected key, did you mean 'seeds'?"),
    (
        "experiment: tiny",
        'experiment: tiny\n"two\\nlines": 1',
        ": two lines: unexpected key",
    ),
    ("seeds: [0, 1, 2]", "seeds: [0, 0]", ": seeds: got [0, 0], expected distinct seeds"),
    ("seeds: [0, 1, 2]", "seeds: 3", ": seeds: got 3, expected a list"),
    ("seeds: [0, 1, 2]", "seeds: []", ": seeds: got [], expected at least one entry"),
    ("seeds: [0, 1, 2]", "seeds: [-1]", ": seeds[0]: got -1, expected 0 or more"),
    ("seeds: [0, 1, 2]", "seeds: [4294967296]", ": seeds[0]: got 4294967296, expected less than 4294967296"),
    ("seeds: [0, 1, 2]", "1: 2", ": [1]: got 1, expected text as key"),
    ("seeds: [0, 1, 2]", "seeds: [true]", ": seeds[0]: got True, expected a whole number"),
    ("seeds: [0, 1, 2]", "mode: best", ": mode: got 'best', expected 'max' or 'min'"),
    ("seeds: [0, 1, 2]", "metric: ''", ": metric: got '', expected non-empty text"),
    ("seeds: [0, 1, 2]", "seeds: [0]\nseeds: [1]", ", line 5: duplicate key 'seeds'"),
    ("seeds: [0, 1, 2]", "seeds: [0", ": not valid YAML ("),
    ("config: teacher.yaml,", "", ": stages.teacher.config: required key is missing"),
    ("config: teacher.yaml", "config: 3", ": stages.teacher.config[0]: got 3, expected a path"),
    ("config: teacher.yaml", "config: none.yaml", ": stages.teacher.config[0]: file not found: "),
    ("config: teacher.yaml", "konfig: a", ": stages.teacher.konfig: unexpected key, did you mean 'config'?"),
    ("config: teacher.yaml", "config: teacher.yaml, name: a", ": stages.teacher.name: unexpected key, "),
    ("test: false", "tset: false", ": stages.gan.tset: unexpected key, did you mean 'test'?"),
    ("test: false", "test: 0", ": stages.gan.test: got 0, expected true or false"),
    ("test: false", "overrides: [1]", ": stages.gan.overrides: got [1], expected a mapping"),
    (
        "overrides: {trainer.max_epochs: 4}",
        "overrides: {trainer.default_root_dir: elsewhere}",
        ": stages.teacher.overrides: unexpected key trainer.default_root_dir, which differs between runs; set the ",
    ),
    ("test: false", "quick: {trainer: {default_root_dir: x}}", ": stages.gan.quick: unexpected key trainer.default_"),
    ("test: false", "overrides: {seed_everything: 3}", ": stages.gan.overrides: unexpected key seed_everything, "),
    ("quick: {trainer.max_epochs: 1}", "quick: {trainer.default_root_dir: x}", ": quick: unexpected key trainer.def"),
    ("test: false", "command: 'forest --config {config}'", ": stages.gan.command: got no {run_dir}, expected the run "),
    (
        "test: false",
        "command: 'forest --out {run_dir} --export /tmp/models'",
        ": stages.gan.command: got --export /tmp/models, expected a path inside the run folder, such as {run_dir}",
    ),
    ("test: false", "command: 'forest --out={run_dir}/../x'", ": stages.gan.command: got --out={run_dir}/../x, expe"),
    ("test: false", "command: 'forest --out {run_dir}', quick_command: --out x", ": stages.gan.quick_command: got --o"),
    (
        "test: false",
        "overrides: {a: '{techer}/x'}",
        ": stages.gan: needs unknown stage 'techer', did you",
    ),
    ("test: false", "needs: x", ": stages.gan: needs unknown stage 'x', expected one of: teacher"),
    ("test: false", "needs: alone", ": stages.gan: needs stage 'alone', which must be listed before it"),
    ("test: false", "needs: gan", ": stages.gan: needs stage 'gan', which must be listed before it"),
    ("{config: gan.yaml, test: false}", "gan.yaml", ": stages.gan: got 'gan.yaml', expected a mapping"),
    ("gan: {config", "gan: {config: gan.yaml}\n  gan: {config", ", line 8: duplicate key 'gan'"),
    ("gan: {config", "figures: {config", ": stages.figures: reserved for the folder of the report's figures"),
    ("gan: {config", "cards: {config", ": stages.cards: reserved for the folder of the report's cards"),
    ("gan: {config", "seed: {config", ": stages.seed: reserved for the placeholder {seed}"),
    ("stage: teacher,", "stage: student,", ": report.rows[0].stage: unknown stage 'student', expected one of: teacher"),
    ("stage: teacher,", "", ": report.rows[0]: expected either 'stage' or 'select_from'"),
    (
        "stage: teacher,",
        "stage: teacher, select_from: [gan],",
        ": report.rows[0]: expected either 'stage' or 'select_from'",
    ),
    ("select_from: [mixed_02,", "select_from: [gan,", ": report.rows[2].select_from: got stages with and without test"),
    ("paper: 0.781", "paper: high", ": report.rows[0].paper: got 'high', expected a number"),
    ("paper: 0.781", "paper: .nan", ": report.rows[0].paper: got nan, expected a finite number"),
    ("paper: 0.781", "paper: true", ": report.rows[0].paper: got True, expected a number"),
    ('name: "labels only"', "name: teacher", ": report.rows: got 2 rows named 'teacher', expected distinct names"),
    ("{0.2: mixed_02,", "{low: mixed_02,", ": report.sweep[0].x_to_stage.low: got 'low', expected a number"),
    (
        "baselines: [alone, teacher]",
        "baselines: [gan]",
        ": report.sweep[0].baselines: got stages with and without test, expected one kind",
    ),
    (
        "0.5: mixed_05}",
        "0.5: gan}",
        ": report.sweep[0].x_to_stage: got stages with and without test, expected one kind",
    ),
    ("baselines: [alone, teacher]", "baselines: [x]", ": report.sweep[0].baselines[0]: unknown stage 'x'"),
    (
        "[teacher, alone, mixed_02]",
        "teachr",
        ": report.learning_curves[0].stages: unknown stage 'teachr', did",
    ),
    (", stages: [teacher, alone, mixed_02]", "", ": report.learning_curves[0].stages: required key is missing"),
    ("sample_grids: [gan]", "sample_grids: {a: b}", ": report.sample_grids[0]: got {'a': 'b'}, expected text"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=range(len(BAD)))
def test_error_is_one_line_with_file_and_key(edited, old, new, message):
    file = edited(old, new)
    with pytest.raises(ConfigurationError) as caught:
        load_experiment(file)
    assert str(caught.value).startswith(f"{file}{message}")
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.yaml: file not found"):
        load_experiment(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": got None, expected a mapping"),
        ("[1]", r": got \[1\], expected a mapping"),
        ("experiment: x\nstages: {}", r": stages: got \{\}, expected at least one entry"),
        ("experiment: x\nstages: [a]", r": stages: got \['a'\], expected a mapping"),
        ("experiment: x\nstages: {1: {config: a}}", r": stages\[1\]: got 1, expected text"),
    ],
)
def test_files_without_stages(tmp_path, text, message):
    file = tmp_path / "x.experiment.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_experiment(file)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("trainer.default_root_dir: /elsewhere", ": unexpected key trainer.default_root_dir, which differs between"),
        ("trainer: {default_root_dir: /elsewhere}", ": unexpected key trainer.default_root_dir, which differs"),
        ("checkpoint.dirpath: /elsewhere", ": unexpected key checkpoint.dirpath, which differs between runs; set the"),
        ("import: code.py", ".import: unexpected key, expected a key of the configuration file"),
        ("'x --import': code.py", ".x --import: unexpected key, expected a key of the configuration file"),
    ],
)
@pytest.mark.parametrize("where", ["overrides", "quick", "experiment"])
def test_overrides_of_the_output_folder_and_of_options(tmp_path, key, message, where):
    (tmp_path / "fit.yaml").touch()
    stage = "config: fit.yaml" if where == "experiment" else f"config: fit.yaml, {where}: {{{key}}}"
    quick = f"quick: {{{key}}}" if where == "experiment" else ""
    (tmp_path / "x.yaml").write_text(f"experiment: x\nstages: {{a: {{{stage}}}}}\n{quick}")
    with pytest.raises(ConfigurationError, match=f"{where.replace('experiment', 'quick')}{message}"):
        load_experiment(tmp_path / "x.yaml")
