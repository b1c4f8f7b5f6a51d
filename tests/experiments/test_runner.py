from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.run_state import read_run_state
from ganmc_lightning.experiments.runner import archive_outdated, describe_failure, execute, is_complete


@pytest.fixture
def teacher(experiment_file, tmp_path):
    return plan_runs(load_experiment(experiment_file), tmp_path / "runs", (0,), quick=False)[0]


@pytest.fixture
def quick_teacher(experiment_file, tmp_path):
    return plan_runs(load_experiment(experiment_file), tmp_path / "runs", (0,), quick=True)[0]


def is_reusable(run, **options):
    archive_outdated(run, **options)
    return is_complete(run)


def make(run, fake):
    return 0 if is_reusable(run) else execute(run, fake).code


def changed(run, *, config="", source="", data=None):
    """Return a run with another fingerprint."""
    old = run.fingerprint
    configs = {**old.configs, run.stage: old.configs[run.stage] + config}
    data = old.data if data is None else data
    return replace(run, fingerprint=replace(old, configs=configs, source=old.source + source, data=data))


def test_fit_test_and_finish(teacher, fake):
    assert not is_reusable(teacher)
    assert execute(teacher, fake).code == 0
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0"]
    assert "--ckpt_path" not in fake.calls[0]
    state = read_run_state(teacher.folder.state)
    assert (state.fingerprint, state.status) == (teacher.fingerprint, "finished")
    assert state.environment["threads"] >= 1
    assert is_reusable(teacher)


@pytest.mark.parametrize("code", [130, 143])
def test_interrupted_training_resumes_from_last_checkpoint(teacher, fake, code):
    fake.exit_codes = {"teacher": code}
    assert make(teacher, fake) == code
    assert read_run_state(teacher.folder.state).status == "started"
    fake.exit_codes = {}
    assert make(teacher, fake) == 0
    assert fake.calls[1][-2:] == ["--ckpt_path", str(teacher.folder.last_checkpoint)]
    assert fake.stages == ["fit teacher/seed0", "fit teacher/seed0", "test teacher/seed0"]


def test_interrupted_training_without_checkpoint_restarts(teacher, fake):
    fake.raises = {0: KeyboardInterrupt()}
    assert make(teacher, fake) == 130
    assert make(teacher, fake) == 0
    assert "--ckpt_path" not in fake.calls[1]


def test_only_a_failed_test_is_repeated(teacher, fake):
    fake.test_exit_codes = {"teacher": 1}
    assert make(teacher, fake) == 1
    fake.test_exit_codes = {}
    assert make(teacher, fake) == 0
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0", "test teacher/seed0"]


def test_run_with_other_settings_is_archived(teacher, quick_teacher, fake):
    make(teacher, fake)
    assert archive_outdated(quick_teacher) == ["config"]
    assert make(quick_teacher, fake) == 0
    archive = teacher.folder.path.with_name(f"seed0.{teacher.fingerprint.digest[:8]}")
    assert read_run_state(archive / "run_state.json").fingerprint == teacher.fingerprint
    assert (archive / "checkpoints" / "best.ckpt").read_bytes() == b"best"
    assert read_run_state(teacher.folder.state).fingerprint == quick_teacher.fingerprint
    assert "--ckpt_path" not in fake.calls[2]


def test_archived_run_is_restored(teacher, quick_teacher, fake):
    make(teacher, fake)
    make(quick_teacher, fake)
    assert is_reusable(teacher)
    assert is_reusable(quick_teacher)
    assert len(fake.calls) == 4
    names = {path.name for path in teacher.folder.path.parent.iterdir()}
    assert names == {"seed0", f"seed0.{teacher.fingerprint.digest[:8]}"}


def test_differences_are_named(teacher, fake):
    teacher = changed(teacher, data={"a.npz": "1", "b.csv": "2"})
    make(teacher, fake)
    other = changed(teacher, source="x", data={"a.npz": "1", "b.csv": "3"})
    assert archive_outdated(other) == ["package source", "data b.csv"]
    assert not teacher.folder.path.exists()


def test_older_code_is_accepted_on_request_only(teacher, fake):
    make(teacher, fake)
    newer = changed(teacher, source="x")
    assert is_reusable(newer, accept_older_code=True)
    assert read_run_state(teacher.folder.state).fingerprint.source == teacher.fingerprint.source
    assert not is_reusable(changed(teacher, source="x", config="x"), accept_older_code=True)
    assert is_reusable(newer, accept_older_code=True)  # restored
    assert not is_reusable(newer)
    assert len(fake.calls) == 2


def test_unfinished_run_of_older_code_is_not_resumed(teacher, fake):
    fake.exit_codes = {"teacher": 130}
    make(teacher, fake)
    assert archive_outdated(changed(teacher, source="x"), accept_older_code=True) == ["package source"]
    assert not teacher.folder.path.exists()


def test_current_code_is_preferred_to_older_code(teacher, fake):
    make(teacher, fake)
    newer = changed(teacher, source="x")
    make(newer, fake)
    assert is_reusable(teacher)
    assert is_reusable(newer, accept_older_code=True)
    assert read_run_state(teacher.folder.state).fingerprint == newer.fingerprint


def test_data_downloaded_by_the_run_are_recorded_later(teacher, fake):
    make(teacher, fake)
    downloaded = changed(teacher, data={"digits.npz": "1"})
    assert is_reusable(downloaded)
    assert read_run_state(teacher.folder.state).fingerprint.data == {"digits.npz": "1"}
    assert archive_outdated(changed(teacher, data={"digits.npz": "2"})) == ["data digits.npz"]


def test_folders_of_unknown_origin_are_archived_under_unique_names(teacher):
    for content in ("mine", "mine too"):
        teacher.folder.path.mkdir(parents=True)
        (teacher.folder.path / "note.txt").write_text(content)
        assert not is_reusable(teacher)
    parent = teacher.folder.path.parent
    assert (parent / "seed0.old" / "note.txt").read_text() == "mine"
    assert (parent / "seed0.old-2" / "note.txt").read_text() == "mine too"


@pytest.mark.parametrize(
    "content", ["", "{", '{"fingerprint": 3, "status": "finished"}', "[]", '{"status": "finished", "fingerprint": {}}']
)
def test_invalid_state_is_ignored(teacher, fake, content):
    make(teacher, fake)
    teacher.folder.state.write_text(content)
    assert archive_outdated(teacher) == ["run_state.json is missing or invalid"]
    assert (teacher.folder.path.parent / "seed0.old" / "result.json").is_file()


def test_finished_run_without_result_is_repeated(teacher, fake):
    make(teacher, fake)
    teacher.folder.result.unlink()
    assert make(teacher, fake) == 0
    assert fake.stages[2:] == ["fit teacher/seed0", "test teacher/seed0"]
    assert teacher.folder.result.is_file()


@pytest.mark.parametrize("result", [None, "{", json.dumps({"metrics": {"val/accuracy": "high"}})])
def test_success_without_usable_result_is_a_failure(teacher, fake, result):
    def command(argv):
        fake(argv)
        if result is None:
            teacher.folder.result.unlink()
        else:
            teacher.folder.result.write_text(result)
        return 0

    outcome = execute(teacher, command)
    assert outcome.code == 1
    assert "result.json" in outcome.error
    assert read_run_state(teacher.folder.state).status == "started"


def test_kill_at_any_write_leaves_a_state_to_continue_from(experiment_file, tmp_path, fake, monkeypatch):
    """Stop before the n-th rename, for every n: the second attempt must finish, with an equal result."""
    original, attempts = os.replace, 0
    for stop in range(10):
        run = plan_runs(load_experiment(experiment_file), tmp_path / str(stop), (0,), quick=False)[0]
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
        assert is_reusable(run)
        assert json.loads(run.folder.result.read_text())["metrics"]["test/accuracy"] == 0.8
        attempts += 1
        if finished:
            break
    assert attempts == 4  # started, fitted, finished: three writes, then one attempt without a stop


@pytest.fixture
def data_file(tmp_path, experiment_file):
    """A data file that the teacher and the stage `alone` read."""
    file = tmp_path / "data" / "rows.csv"
    file.parent.mkdir()
    file.write_text("a,b\n1,2\n")
    for name in ("teacher", "student"):
        (experiment_file.parent / f"{name}.yaml").write_text(f"model: {{name: {name}}}\ndata: {{path: {file}}}\n")
    return file


@pytest.fixture
def plan(experiment_file, tmp_path):
    def make_plan():
        runs = plan_runs(load_experiment(experiment_file), tmp_path / "runs", (0,), quick=False)
        return {run.stage: run for run in runs}

    return make_plan


def test_data_replaced_during_a_stage(data_file, plan, fake):
    runs = plan()

    def fit_and_replace(argv):
        status = data_file.stat()
        data_file.write_text("a,b\n3,4\n")  # of equal size
        os.utime(data_file, ns=(status.st_atime_ns, status.st_mtime_ns))
        return fake(argv)

    outcome = execute(runs["teacher"], fit_and_replace)
    assert outcome.code == 1
    assert outcome.error == (
        f"data {data_file} changed since this command started; run the same command to repeat what used it"
    )
    assert not is_complete(runs["teacher"])
    assert archive_outdated(plan()["teacher"]) == [f"data {data_file}"]
    assert make(plan()["teacher"], fake) == 0


@pytest.mark.parametrize("content", ["a,b\n3,4\n", "a,b", ""])
def test_data_replaced_or_truncated_between_stages(data_file, plan, fake, content):
    runs = plan()
    assert make(runs["teacher"], fake) == 0
    data_file.write_text(content)
    outcome = execute(runs["mixed_02"], fake)
    assert "changed since this command started" in outcome.error
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0"]
    assert archive_outdated(plan()["teacher"]) == [f"data {data_file}"]


def test_downloaded_data_replaced_between_stages(data_file, plan, fake):
    """The plan does not know the data yet; the teacher's state does."""
    data_file.unlink()
    runs = plan()

    def download(argv):
        data_file.write_text("a,b\n1,2\n")
        return fake(argv)

    assert execute(runs["teacher"], download).code == 0
    assert set(read_run_state(runs["teacher"].folder.state).fingerprint.data) == {str(data_file)}
    data_file.write_text("a,b\n3,4\n")
    outcome = execute(runs["mixed_02"], fake)
    assert outcome.error.startswith(f"data {data_file} changed since {runs['teacher'].folder.path} was trained;")


def test_a_failure_names_the_last_checkpoint(teacher, fake):
    fake.exit_codes = {"teacher": 1}
    text = describe_failure(teacher, execute(teacher, fake))
    assert text.endswith(f"; last checkpoint: {teacher.folder.last_checkpoint}")
    assert "\n" not in text
