from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import fingerprint
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.interpolation import substitute
from ganmc_lightning.experiments.planning import format_argument, plan_runs


def plan(file, out, seeds=(0,), quick=False):
    return {run.stage: run for run in plan_runs(load_experiment(file), out, seeds, quick)}


def test_command_lines(experiment_file, tmp_path):
    runs, out = plan(experiment_file, tmp_path / "runs", seeds=(7,)), tmp_path / "runs" / "tiny"
    folder, configs = out / "mixed_02" / "seed7", experiment_file.parent
    assert runs["mixed_02"].folder.path == folder
    assert runs["mixed_02"].command == (
        "fit",
        *("--config", f"{configs}/student.yaml"),
        *("--seed_everything", "7"),
        *("--trainer.default_root_dir", str(folder)),
        "--trainer.enable_model_summary=false",
        "--data.p_fake=0.2",
        f"--model.teacher.init_args.path={out}/teacher/seed7/checkpoints/best.ckpt",
    )
    best = f"{folder}/checkpoints/best.ckpt"
    assert runs["mixed_02"].test == (
        "test",
        "--config",
        f"{folder}/config.yaml",
        "--trainer.default_root_dir",
        f"{folder}",
        "--ckpt_path",
        best,
        "--trainer.logger=false",
        "--verbose=false",
    )
    assert runs["gan"].test is None
    assert runs["alone"].command.count("--config") == 2


def test_runs_are_ordered_by_seed(experiment_file, tmp_path):
    runs = plan_runs(load_experiment(experiment_file), tmp_path, (4, 2), quick=False)
    assert [run.seed for run in runs] == [4] * 5 + [2] * 5


def test_quick_overrides_of_a_stage_take_precedence(edited, tmp_path):
    file = edited("{config: gan.yaml, test: false}", "{config: gan.yaml, quick: {trainer.max_epochs: 2}}")
    runs = plan(file, tmp_path, quick=True)
    assert "--trainer.max_epochs=1" in runs["teacher"].command
    assert "--trainer.max_epochs=4" not in runs["teacher"].command
    assert "--trainer.max_epochs=2" in runs["gan"].command


def test_paths_in_configs_follow_the_stage_they_name(experiment_file, edited, tmp_path):
    config = experiment_file.parent / "student.yaml"
    edited("{config: [student.yaml, more.yaml]}", "{config: student.yaml, needs: teacher}")
    edited("overrides: {data.p_fake: 0.2", "overrides: {trainer.callbacks: [], data.p_fake: 0.2")
    edited("overrides: {data.p_fake: 0.5", "overrides: {trainer.callbacks: [], data.p_fake: 0.5")
    config.write_text(
        "trainer: {default_root_dir: runs/tiny/gan/seed0, callbacks: [{path: runs/tiny/teacher/seed0/best.ckpt}]}\n"
    )
    out = tmp_path / "out"
    run = plan(experiment_file, out, seeds=(3,))["alone"]
    folder = out / "tiny" / "alone" / "seed3"
    assert run.configs[folder / "0_student.yaml"] == {
        "trainer": {
            "default_root_dir": "runs/tiny/gan/seed0",  # the output folder, which the command line overrides
            "callbacks": [{"path": f"{out}/tiny/teacher/seed3/best.ckpt"}],
        }
    }
    assert str(folder / "0_student.yaml") in run.command
    assert run.needs == (("teacher", 3),)


UNDECLARED = "model: {teacher: {class_path: X, init_args: {path: runs/tiny/teacher/seed0/best.ckpt}}}\n"


def test_undeclared_dependency_is_an_error(experiment_file, tmp_path):
    (experiment_file.parent / "more.yaml").write_text(UNDECLARED)
    message = (
        r"more\.yaml: model\.teacher\.init_args\.path names stage 'teacher', "
        r"expected it in 'needs' of stage 'alone' \(or an override of model\.teacher\.init_args\.path\)$"
    )
    with pytest.raises(ConfigurationError, match=message):
        plan(experiment_file, tmp_path)


LITERAL = "runs/tiny/teacher/seed0/best.ckpt"


def test_literal_stage_path_in_an_override_or_a_command_follows_the_seed(edited, tmp_path):
    file = edited(
        "{config: [student.yaml, more.yaml]}", f"{{config: more.yaml, needs: teacher, overrides: {{a: {LITERAL}}}}}"
    )
    file = edited(
        "{config: gan.yaml, test: false}", f"{{command: 'evaluate x=./{LITERAL} --out {{run_dir}}', needs: teacher}}"
    )
    runs, moved = plan(file, tmp_path, seeds=(3,)), f"{tmp_path}/tiny/teacher/seed3/best.ckpt"
    assert f"--a={moved}" in runs["alone"].command
    assert f"x={moved}" in runs["gan"].command


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{config: [student.yaml, more.yaml]}",
            f"{{config: more.yaml, overrides: {{a: {LITERAL}}}}}",
            "stages.alone: a",
        ),
        ("{config: gan.yaml, test: false}", f"{{command: 'x {LITERAL} {{run_dir}}'}}", "stages.gan: command"),
    ],
)
def test_undeclared_literal_stage_path_is_an_error(edited, tmp_path, old, new, message):
    expected = rf"^{message} names stage 'teacher', expected it in 'needs' of stage '\w+' \(or '\{{teacher\}}'\)$"
    with pytest.raises(ConfigurationError, match=expected):
        plan(edited(old, new), tmp_path)


def test_only_paths_that_start_with_the_stage_path_are_replaced():
    folders = {"gan": Path("out")}
    for prefix in ("", "./", "classifier:", "name=./"):
        assert substitute(f"{prefix}runs/tiny/gan/seed0/x", "tiny", folders) == f"{prefix.removesuffix('./')}out/x"
    for prefix in ("/home/me/", "old", "../"):
        path = f"{prefix}runs/tiny/gan/seed0/x"
        assert substitute(path, "tiny", folders) == path


@pytest.mark.parametrize(
    "override", ["model.teacher: null", "model.teacher: Y", "model.teacher.init_args.path: x.ckpt"]
)
def test_overridden_path_is_no_dependency(experiment_file, edited, tmp_path, override):
    (experiment_file.parent / "more.yaml").write_text(UNDECLARED)
    file = edited("[student.yaml, more.yaml]", f"[student.yaml, more.yaml], overrides: {{{override}}}")
    assert plan(file, tmp_path)["alone"].needs == ()


def test_path_of_an_overridden_class_is_a_dependency(experiment_file, edited, tmp_path):
    """The command line keeps the arguments of the class, for example its path."""
    (experiment_file.parent / "more.yaml").write_text(UNDECLARED)
    file = edited("[student.yaml, more.yaml]", "more.yaml, overrides: {model.teacher.class_path: Y}")
    with pytest.raises(ConfigurationError, match=r"more\.yaml: model\.teacher\.init_args\.path names stage 'teacher'"):
        plan(file, tmp_path)


def test_path_replaced_by_a_later_config_is_no_dependency(experiment_file, tmp_path):
    (experiment_file.parent / "student.yaml").write_text(UNDECLARED)
    (experiment_file.parent / "more.yaml").write_text("model: {teacher: {class_path: Y}}\n")
    assert plan(experiment_file, tmp_path)["alone"].needs == ()


def test_dependency_of_a_command(experiment_file, tmp_path):
    (experiment_file.parent / "more.yaml").write_text(UNDECLARED)
    text = experiment_file.read_text().replace(
        "{config: [student.yaml, more.yaml]}", "{config: more.yaml, command: 'forest --out {run_dir}'}"
    )
    experiment_file.write_text(text)
    with pytest.raises(ConfigurationError, match="expected it in 'needs' of stage 'alone'"):
        plan(experiment_file, tmp_path)


def test_formatted_argument_parses_to_an_equal_value():
    for value in (True, False, None, 3, 0.5, 1e-5, [1, "a", None], {"class_path": "x.Y", "n": {"z": False}}):
        assert yaml.safe_load(format_argument(value)) == value or json.loads(format_argument(value)) == value
    assert format_argument("plain/text") == "plain/text"


def changed(before, after):
    """Return stage -> differences of its fingerprint, without equal ones."""
    differences = {name: run.fingerprint.differences(before[name].fingerprint, name) for name, run in after.items()}
    return {name: found for name, found in differences.items() if found}


def test_changed_config_changes_all_dependent_stages(experiment_file, tmp_path):
    before = plan(experiment_file, tmp_path)
    (experiment_file.parent / "teacher.yaml").write_text("model: {name: another}\n")
    expected = {"teacher": ["config"], "mixed_02": ["config of stage 'teacher'"]}
    expected["mixed_05"] = expected["mixed_02"]
    assert changed(before, plan(experiment_file, tmp_path)) == expected


def test_comments_report_and_output_folder_do_not_count(experiment_file, edited, tmp_path):
    before = plan(experiment_file, tmp_path / "here")
    (experiment_file.parent / "teacher.yaml").write_text("# a remark\nmodel:\n  name: teacher\n")
    file = edited("paper: 0.781", "paper: 0.782")
    assert changed(before, plan(file, tmp_path / "there")) == {}


def test_overrides_seed_quick_and_test_count(experiment_file, edited, tmp_path):
    before = plan(experiment_file, tmp_path)
    assert set(changed(before, plan(experiment_file, tmp_path, seeds=(1,)))) == set(before)
    assert set(changed(before, plan(experiment_file, tmp_path, quick=True))) == set(before)
    file = edited("data.p_fake: 0.2", "data.p_fake: 0.3")
    assert changed(before, plan(file, tmp_path)) == {"mixed_02": ["config"]}
    file = edited(", test: false", "")
    assert set(changed(before, plan(file, tmp_path))) == {"gan", "mixed_02", "mixed_05"}


def test_package_source_counts(experiment_file, tmp_path, monkeypatch):
    before = plan(experiment_file, tmp_path)
    monkeypatch.setattr(fingerprint, "hash_source", lambda: "another")
    expected = {name: ["package source"] for name in before}
    assert changed(before, plan(experiment_file, tmp_path)) == expected


def test_changed_data_file_counts_for_dependent_stages(experiment_file, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("1,2\n")
    (experiment_file.parent / "teacher.yaml").write_text(f"data: {{dataset: {{path: {table}}}}}\n")
    before = plan(experiment_file, tmp_path)
    table.write_text("1,3\n")
    reasons = [f"data {table}"]
    assert changed(before, plan(experiment_file, tmp_path)) == dict.fromkeys(
        ["teacher", "mixed_02", "mixed_05"], reasons
    )


def test_downloaded_data_count_once_they_exist(experiment_file, tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    (experiment_file.parent / "teacher.yaml").write_text("data: {dataset: ganmc_lightning.data.datasets.MAGIC}\n")
    absent = plan(experiment_file, tmp_path)
    (tmp_path / "magic.npz").write_bytes(b"1")
    before = plan(experiment_file, tmp_path)
    assert changed(absent, before) == {}
    (tmp_path / "magic.npz").write_bytes(b"2")
    assert changed(before, plan(experiment_file, tmp_path))["mixed_02"] == ["data magic.npz"]


def test_checkpoints_of_stages_are_no_data(experiment_file, edited, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (experiment_file.parent / "more.yaml").write_text(UNDECLARED)
    file = edited("[student.yaml, more.yaml]", "more.yaml, needs: [teacher]")
    checkpoint = tmp_path / "runs" / "tiny" / "teacher" / "seed0" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert plan(file, tmp_path / "runs")["alone"].fingerprint.data == {}


@pytest.mark.parametrize("value", ["data.yaml", {"loader": ["data.yaml"]}])
def test_a_config_file_within_a_config_is_refused(experiment_file, tmp_path, value):
    folder = experiment_file.parent
    (folder / "data.yaml").write_text("synthesizer: {path: runs/tiny/gan/seed0/best.ckpt}\n")
    (folder / "gan.yaml").write_text(yaml.safe_dump({"data": value}))
    key = "data" if value == "data.yaml" else "data.loader"
    with pytest.raises(ConfigurationError, match=f"gan.yaml: {key}: got the file data.yaml, expected its content$"):
        plan(experiment_file, tmp_path / "runs")


def test_a_config_file_within_an_override_is_refused(edited, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.yaml").touch()
    file = edited("{config: gan.yaml, test: false}", "{config: gan.yaml, overrides: {data: ./data.yaml}}")
    with pytest.raises(ConfigurationError, match=r"^stages\.gan: data: got the file \./data.yaml, expected"):
        plan(file, tmp_path / "runs")


def test_other_names_of_yaml_files_are_kept(experiment_file, tmp_path):
    folder = experiment_file.parent
    config = {"data": {"path": "more.yaml", "name": "absent.yaml"}}
    (folder / "gan.yaml").write_text(yaml.safe_dump(config))
    plan(experiment_file, tmp_path / "runs")


def test_hash_of_configs_equals_that_of_earlier_versions(edited, tmp_path):
    """Another hash would repeat finished runs. The output folder in a config counts, that of the command does not."""
    file = edited("{config: gan.yaml, test: false}", "{config: gan.yaml, overrides: {data.p_fake: 0.5}}")
    config = {"trainer": {"default_root_dir": "runs/tiny/gan/seed0", "max_epochs": 3}}
    (file.parent / "gan.yaml").write_text(yaml.safe_dump(config))
    recipe = {"configs": [config], "overrides": {"data.p_fake": 0.5}, "seed": 0, "test": True}
    for out in ("runs", "others"):
        assert plan(file, tmp_path / out)["gan"].fingerprint.configs == {"gan": fingerprint.hash_json(recipe)}
    assert fingerprint.hash_json(recipe) == "7c4aaaf8851b576b46331131218954232cfc9226b08e2c64089cbb464c28842f"
