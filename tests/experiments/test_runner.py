from __future__ import annotations

import json
import os

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.runner import make_run, prepare, read_run_state


@pytest.fixture
def teacher(experiment_file, tmp_path):
    return plan_runs(load_experiment(experiment_file), tmp_path / "runs", (0,), quick=False)[0]


@pytest.fixture
def quick_teacher(experiment_file, tmp_path):
    return plan_runs(load_experiment(experiment_file), tmp_path / "runs", (0,), quick=True)[0]


def make(run, fake):
    return 0 if prepare(run) else make_run(run, fake)


def test_fit_then_test_then_finished(teacher, fake):
    assert not prepare(teacher)
    assert make_run(teacher, fake) == 0
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0"]
    assert "--ckpt_path" not in fake.calls[0]
    record = read_run_state(teacher.folder)
    assert (record.key, record.state) == (teacher.key, "finished")
    assert record.environment["threads"] >= 1
    assert prepare(teacher)


@pytest.mark.parametrize("code", [130, 143])
def test_an_interrupted_training_resumes_from_its_last_checkpoint(teacher, fake, code):
    fake.exit_codes = {"teacher": code}
    assert make(teacher, fake) == code
    assert read_run_state(teacher.folder).state == "started"
    fake.exit_codes = {}
    assert make(teacher, fake) == 0
    assert fake.calls[1][-2:] == ["--ckpt_path", str(teacher.last_checkpoint)]
    assert fake.stages == ["fit teacher/seed0", "fit teacher/seed0", "test teacher/seed0"]


def test_an_interrupted_training_without_a_checkpoint_starts_anew(teacher, fake):
    fake.raises = {0: KeyboardInterrupt()}
    assert make(teacher, fake) == 130
    assert make(teacher, fake) == 0
    assert "--ckpt_path" not in fake.calls[1]


def test_only_the_test_is_repeated_when_only_the_test_failed(teacher, fake):
    fake.test_exit_codes = {"teacher": 1}
    assert make(teacher, fake) == 1
    fake.test_exit_codes = {}
    assert make(teacher, fake) == 0
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0", "test teacher/seed0"]


def test_a_run_from_other_settings_is_moved_aside_and_kept(teacher, quick_teacher, fake):
    make(teacher, fake)
    assert make(quick_teacher, fake) == 0
    aside = teacher.folder.with_name(f"seed0.{teacher.key[:8]}")
    assert read_run_state(aside).key == teacher.key
    assert (aside / "checkpoints" / "best.ckpt").read_bytes() == b"best"
    assert read_run_state(teacher.folder).key == quick_teacher.key
    assert "--ckpt_path" not in fake.calls[2]


def test_going_back_to_earlier_settings_brings_the_earlier_run_back(teacher, quick_teacher, fake):
    make(teacher, fake)
    make(quick_teacher, fake)
    assert prepare(teacher)
    assert prepare(quick_teacher)
    assert len(fake.calls) == 4
    names = {path.name for path in teacher.folder.parent.iterdir()}
    assert names == {"seed0", f"seed0.{teacher.key[:8]}"}


def test_folders_of_unknown_origin_are_kept_under_names_of_their_own(teacher, fake):
    for content in ("mine", "mine too"):
        teacher.folder.mkdir(parents=True)
        (teacher.folder / "note.txt").write_text(content)
        assert not prepare(teacher)
    parent = teacher.folder.parent
    assert (parent / "seed0.old" / "note.txt").read_text() == "mine"
    assert (parent / "seed0.old-2" / "note.txt").read_text() == "mine too"


@pytest.mark.parametrize("content", ["", "{", '{"key": 3, "state": "finished"}', "[]"])
def test_a_damaged_record_is_no_record(teacher, fake, content):
    make(teacher, fake)
    (teacher.folder / "stage.json").write_text(content)
    assert not prepare(teacher)
    assert (teacher.folder.parent / "seed0.old" / "result.json").is_file()


def test_a_finished_run_whose_result_is_gone_is_made_again(teacher, fake):
    make(teacher, fake)
    (teacher.folder / "result.json").unlink()
    assert make(teacher, fake) == 0
    assert fake.stages[2:] == ["fit teacher/seed0", "test teacher/seed0"]
    assert (teacher.folder / "result.json").is_file()


@pytest.mark.parametrize("result", [None, "{", json.dumps({"metrics": {"val/accuracy": "high"}})])
def test_success_without_a_usable_result_is_a_failure(teacher, fake, result):
    def command(argv):
        fake(argv)
        if result is None:
            (teacher.folder / "result.json").unlink()
        else:
            (teacher.folder / "result.json").write_text(result)
        return 0

    with pytest.raises(ConfigurationError, match=r"result\.json"):
        make_run(teacher, command)
    assert read_run_state(teacher.folder).state == "started"


def test_a_kill_at_any_write_leaves_a_state_that_continues(teacher, experiment_file, fake, monkeypatch):
    """Stop before the n-th rename, for every n: the second attempt must finish, with the same result."""
    original, attempts = os.replace, 0
    for stop in range(10):
        run = plan_runs(load_experiment(experiment_file), teacher.folder.parents[3] / str(stop), (0,), quick=False)[0]
        left = stop

        def replace(source, target):
            nonlocal left
            if left == 0:
                raise SystemExit("killed")
            left -= 1
            original(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            make(run, fake)
            finished = True
        except SystemExit:
            finished = False
        monkeypatch.setattr(os, "replace", original)
        assert make(run, fake) == 0
        assert prepare(run)
        assert json.loads((run.folder / "result.json").read_text())["metrics"]["test/accuracy"] == 0.8
        attempts += 1
        if finished:
            break
    assert attempts == 4  # started, fitted, finished: three writes, then one attempt that nothing stopped
