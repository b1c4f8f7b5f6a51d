"""Run folders that another process uses, such as a worker of a killed command."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager

import pytest
from rich.console import Console

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import scheduling
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.executors import InProcessExecutor
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.progress import ProgressPrinter
from ganmc_lightning.experiments.reproduce import reproduce
from ganmc_lightning.experiments.scheduling import run_stages
from ganmc_lightning.io.folder_lock import lock_folder


@pytest.fixture
def teacher(experiment_file, tmp_path):
    """The first run of the experiment, and a function that runs it."""
    experiment = load_experiment(experiment_file)
    run = plan_runs(experiment, tmp_path / "runs", [0], quick=False)[0]

    def execute(command):
        progress = ProgressPrinter(experiment, [run], Console(quiet=True), quick=False, show_starts=False)
        return run_stages([run], command, progress, InProcessExecutor())[run.id]

    return run, execute


def test_a_stage_waits_for_a_process_that_ends(teacher, fake):
    run, execute = teacher
    locked, waited = threading.Event(), threading.Event()

    def use():
        with lock_folder(run.folder.path, "--out"):
            locked.set()
            waited.wait(0.3)
            assert fake.calls == []

    thread = threading.Thread(target=use)
    thread.start()
    locked.wait()
    assert execute(fake).code == 0
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0"]
    thread.join()


@contextmanager
def locked_by_another_thread(folder):
    """Lock a folder as another process would: the thread that has locked it may use it."""
    locked, release = threading.Event(), threading.Event()

    def use():
        with lock_folder(folder, "--out"):
            locked.set()
            release.wait()

    thread = threading.Thread(target=use)
    thread.start()
    locked.wait()
    try:
        yield
    finally:
        release.set()
        thread.join()


def test_a_stage_fails_if_its_folder_stays_in_use(teacher, fake, monkeypatch, capsys):
    run, execute = teacher
    monkeypatch.setattr(scheduling, "WAIT_SECONDS", 0.0)
    with locked_by_another_thread(run.folder.path):
        outcome = execute(fake)
    assert outcome.code == 1
    assert f"{run.folder.path} is in use by process {os.getpid()};" in outcome.error
    assert fake.calls == []
    assert capsys.readouterr().err.count("\n") == 1


def test_two_commands_on_one_experiment(experiment_file, fake, tmp_path):
    with (
        locked_by_another_thread(tmp_path / "runs" / "tiny"),
        pytest.raises(ConfigurationError, match=rf"^--out: .*tiny is in use by process {os.getpid()};"),
    ):
        reproduce(experiment_file, tmp_path / "runs", command="", run_command=fake, console=Console(quiet=True))
    assert fake.calls == []
