from __future__ import annotations

import importlib
import io
import json
import multiprocessing
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.reproduce import reproduce
from ganmc_lightning.experiments.run_state import read_run_state
from ganmc_lightning.experiments.runner import Outcome
from ganmc_lightning.experiments.scheduling import run_stages
from ganmc_lightning.experiments.workers import LOG, WorkerPool, execute_in_worker


@pytest.fixture
def commands(monkeypatch):
    """Command lines that a worker process can import, because it inherits ``sys.path``."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # otherwise each worker imports PyTorch to count the GPUs
    return importlib.import_module("worker_commands")


@pytest.fixture
def run_plan(experiment_file, tmp_path, commands):
    """Execute the plan of the experiment file; return exit codes, the runs started and the outcomes."""

    def run(command, seeds=(0,), jobs=2, **options):
        runs = plan_runs(load_experiment(experiment_file), tmp_path / "runs", seeds, quick=False)
        recorder = commands.Recorder()
        outcomes = run_stages(runs, command, recorder, WorkerPool(2), jobs=jobs, **options)
        assert outcomes == recorder.outcomes
        return {node: outcome.code for node, outcome in outcomes.items()}, recorder.started, outcomes

    return run


def test_a_run_starts_after_its_dependencies(run_plan, commands, tmp_path):
    codes, started, outcomes = run_plan(commands.fake, seeds=(0, 1))
    assert len(started) == len(codes) == 10
    assert set(codes.values()) == {0}
    assert not any(outcome.reused for outcome in outcomes.values())
    for seed in (0, 1):
        for student in ("mixed_02", "mixed_05"):
            assert started.index((student, seed)) > started.index(("teacher", seed))
            assert started.index((student, seed)) > started.index(("gan", seed))
    for stage, seed in started:
        folder = tmp_path / "runs" / "tiny" / stage / f"seed{seed}"
        assert read_run_state(folder / "run_state.json").status == "finished"
        assert json.loads((folder / "result.json").read_text())["metrics"]
    codes, started, outcomes = run_plan(commands.fake, seeds=(0, 1, 2))  # finished runs are reused
    assert set(codes.values()) == {0}
    assert {seed for _, seed in started} == {2}
    assert all(outcome.reused == (seed != 2) for (_, seed), outcome in outcomes.items())


def test_longest_chains_start_first(run_plan, commands):
    """`alone`, which no run needs, precedes both students in the file."""
    _, started, _ = run_plan(commands.fake, seeds=(0, 1))
    needed = {("teacher", 0), ("gan", 0), ("teacher", 1), ("gan", 1)}
    assert set(started[:4]) == needed
    _, in_order, _ = run_plan(commands.fake, seeds=(2,), jobs=1)
    assert [stage for stage, _ in in_order] == ["teacher", "gan", "alone", "mixed_02", "mixed_05"]


def test_keep_going_runs_all_independent_stages(run_plan, commands):
    codes, started, outcomes = run_plan(partial(commands.fake, exit_codes={"gan": 3}), keep_going=True)
    assert codes == {("teacher", 0): 0, ("gan", 0): 3, ("alone", 0): 0, ("mixed_02", 0): 1, ("mixed_05", 0): 1}
    assert outcomes["mixed_02", 0].skipped == ("gan seed 0",)
    assert {stage for stage, _ in started} == {"teacher", "gan", "alone"}


def test_no_run_starts_after_a_failure(run_plan, commands):
    codes, started, _ = run_plan(partial(commands.fake, exit_codes={"teacher": 3, "gan": 3}), seeds=(0, 1))
    assert codes["teacher", 0] == 3
    assert len(started) <= 3  # two at a time, and one more where the first to end succeeded
    assert set(codes) == set(started)


def test_output_is_written_to_the_log_of_its_run(run_plan, commands, tmp_path, capfd):
    codes, _, _ = run_plan(commands.print_and_fail)
    assert codes["teacher", 0] == 1
    log = tmp_path / "runs" / "tiny" / "teacher" / "seed0" / LOG
    assert log.read_text() == "output of the stage\n"
    assert "output of the stage" not in "".join(capfd.readouterr())


def test_killed_worker_fails_its_run(run_plan, commands):
    codes, _, outcomes = run_plan(commands.kill_worker)
    assert codes["teacher", 0] == 1
    assert "worker process was killed" in outcomes["teacher", 0].error


def test_killed_worker_and_keep_going(run_plan, commands):
    """New workers execute the independent stages; one at a time, since the pool interrupts others."""
    codes, _, outcomes = run_plan(partial(commands.kill_once, stage="teacher"), keep_going=True, jobs=1)
    assert codes["teacher", 0] == codes["mixed_02", 0] == codes["mixed_05", 0] == 1
    assert codes["gan", 0] == codes["alone", 0] == 0
    assert outcomes["mixed_02", 0].skipped == ("teacher seed 0",)


def test_worker_that_cannot_use_cuda_any_more(run_plan, commands):
    """A new worker executes the next runs; the error is that of the run."""
    codes, _, outcomes = run_plan(partial(commands.lose_gpu, stage="teacher"), keep_going=True, jobs=1)
    assert codes == {("teacher", 0): 1, ("gan", 0): 0, ("alone", 0): 0, ("mixed_02", 0): 1, ("mixed_05", 0): 1}
    assert outcomes["teacher", 0].error == "error: CUDA error"


def test_signal_during_the_start_of_the_workers(commands, tmp_path):
    """SIGTERM before the first run of a worker; no run starts."""
    with WorkerPool(1) as pool:
        assert pool.submit(commands.stop_this_process).result() is None
        run = commands.waiting_runs(tmp_path)[0]
        assert pool.submit(execute_in_worker, run, commands.wait_and_save).result() == Outcome(143)
        (worker,) = multiprocessing.active_children()
        worker.join(60)  # the pool waits for a worker that it terminates
        assert not worker.is_alive()
    assert not (run.folder.path / "process").exists()


def test_report_equals_that_of_sequential_runs(experiment_file, tmp_path, commands):
    rows = []
    for jobs in (1, 2):
        console, out = Console(file=io.StringIO(), width=80), tmp_path / f"jobs{jobs}"
        assert (
            reproduce(
                experiment_file, out, command="", run_command=commands.fake, console=console, seeds=(0, 1), jobs=jobs
            )
            == 0
        )
        rows.append(json.loads((out / "tiny" / "report.json").read_text())["rows"])
    assert rows[0] == rows[1]
