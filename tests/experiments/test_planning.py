from __future__ import annotations

import json

import pytest
import yaml

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import argument, plan_runs


def plan(file, out, seeds=(0,), quick=False):
    return {run.stage: run for run in plan_runs(load_experiment(file), out, seeds, quick)}


def test_command_lines(experiment_file, tmp_path):
    runs, out = plan(experiment_file, tmp_path / "runs", seeds=(7,)), tmp_path / "runs" / "tiny"
    folder, configs = out / "mixed_02" / "seed7", experiment_file.parent
    assert runs["mixed_02"].folder == folder
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
        "--ckpt_path",
        best,
        "--verbose=false",
    )
    assert runs["gan"].test is None
    assert runs["alone"].command.count("--config") == 2


def test_seed_by_seed_so_that_the_first_table_is_there_early(experiment_file, tmp_path):
    runs = plan_runs(load_experiment(experiment_file), tmp_path, (4, 2), quick=False)
    assert [run.seed for run in runs] == [4] * 5 + [2] * 5


def test_quick_overrides_win_and_the_stage_has_the_last_word(edited, tmp_path):
    file = edited("{config: gan.yaml, test: false}", "{config: gan.yaml, quick: {trainer.max_epochs: 2}}")
    runs = plan(file, tmp_path, quick=True)
    assert "--trainer.max_epochs=1" in runs["teacher"].command
    assert "--trainer.max_epochs=4" not in runs["teacher"].command
    assert "--trainer.max_epochs=2" in runs["gan"].command


def test_paths_in_configs_follow_the_stage_they_name(experiment_file, tmp_path):
    config = experiment_file.parent / "student.yaml"
    config.write_text(
        "trainer: {default_root_dir: runs/tiny/gan/seed0, callbacks: [{path: runs/tiny/teacher/seed0/best.ckpt}]}\n"
    )
    out = tmp_path / "out"
    run = plan(experiment_file, out, seeds=(3,))["alone"]
    folder = out / "tiny" / "alone" / "seed3"
    assert run.configs[folder / "0_student.yaml"] == {
        "trainer": {
            "default_root_dir": "runs/tiny/gan/seed0",  # its own folder, which the command line overrides
            "callbacks": [{"path": f"{out}/tiny/teacher/seed3/best.ckpt"}],
        }
    }
    assert str(folder / "0_student.yaml") in run.command
    assert load_experiment(experiment_file).stages["alone"].needs == ("teacher",)


def test_a_config_may_only_name_stages_above_its_own(experiment_file):
    config = experiment_file.parent / "teacher.yaml"
    config.write_text("path: runs/tiny/mixed_02/seed0/checkpoints/best.ckpt\n")
    with pytest.raises(ConfigurationError, match="mixed_02"):
        load_experiment(experiment_file)


def test_arguments_read_back_as_the_same_value():
    for value in (True, False, None, 3, 0.5, 1e-5, [1, "a", None], {"class_path": "x.Y", "n": {"z": False}}):
        assert yaml.safe_load(argument(value)) == value or json.loads(argument(value)) == value
    assert argument("plain/text") == "plain/text"


def changed(before, after):
    return {stage for stage in before if before[stage].key != after[stage].key}


def test_a_key_follows_the_config_and_goes_on_to_what_depends_on_it(experiment_file, tmp_path):
    before = plan(experiment_file, tmp_path)
    (experiment_file.parent / "teacher.yaml").write_text("model: {name: another}\n")
    assert changed(before, plan(experiment_file, tmp_path)) == {"teacher", "mixed_02", "mixed_05"}


def test_a_key_ignores_comments_the_report_and_the_place(experiment_file, edited, tmp_path):
    before = plan(experiment_file, tmp_path / "here")
    (experiment_file.parent / "teacher.yaml").write_text("# a remark\nmodel:\n  name: teacher\n")
    file = edited("paper: 0.781", "paper: 0.782")
    assert changed(before, plan(file, tmp_path / "there")) == set()


def test_a_key_follows_overrides_seed_quick_and_test(experiment_file, edited, tmp_path):
    before = plan(experiment_file, tmp_path)
    everything = set(before)
    assert changed(before, plan(experiment_file, tmp_path, seeds=(1,))) == everything
    assert changed(before, plan(experiment_file, tmp_path, quick=True)) == everything
    file = edited("data.p_fake: 0.2", "data.p_fake: 0.3")
    assert changed(before, plan(file, tmp_path)) == {"mixed_02"}
    file = edited(", test: false", "")
    assert changed(before, plan(file, tmp_path)) == {"gan", "mixed_02", "mixed_05"}
