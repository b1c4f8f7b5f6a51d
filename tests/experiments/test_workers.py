from __future__ import annotations

import importlib
import io
import json
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.reproduce import reproduce
from ganmc_lightning.experiments.runner import read_run_state
from ganmc_lightning.experiments.workers import LOG, run_in_workers


@pytest.fixture
def commands(monkeypatch):
    """Command lines that a worker process can import; a worker gets this process's ``sys.path``."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # otherwise each worker imports PyTorch to count the GPUs
    return importlib.import_module("worker_commands")


@pytest.fixture
def run_plan(experiment_file, tmp_path):
    """Run the plan of the experiment file; returns the exit code, the runs started, and the outcome of each run."""

    def run(command, seeds=(0,)):
        runs = plan_runs(load_experiment(experiment_file), tmp_path / "runs", seeds, quick=False)
        started, ended = [], {}

        def end(run, outcome, finished_before):
            ended[run.stage, run.seed] = (outcome, finished_before)

        code = run_in_workers(runs, 2, command, lambda run: started.append((run.stage, run.seed)), end)
        return code, started, ended

    return run


def test_a_run_starts_after_those_it_depends_on(run_plan, commands, tmp_path):
    code, started, ended = run_plan(commands.fake, seeds=(0, 1))
    assert code == 0
    assert len(started) == len(ended) == 10
    assert set(ended.values()) == {(0, False)}
    for seed in (0, 1):
        for student in ("mixed_02", "mixed_05"):
            assert started.index((student, seed)) > started.index(("teacher", seed))
            assert started.index((student, seed)) > started.index(("gan", seed))
    for stage, seed in started:
        folder = tmp_path / "runs" / "tiny" / stage / f"seed{seed}"
        assert read_run_state(folder).state == "finished"
        assert json.loads((folder / "result.json").read_text())["metrics"]
    code, started, ended = run_plan(commands.fake, seeds=(0, 1, 2))  # finished runs are kept
    assert code == 0
    assert {seed for _, seed in started} == {2}
    assert all(ended[node] == (0, node[1] != 2) for node in ended)


def test_after_a_failure_the_independent_runs_continue(run_plan, commands):
    code, started, ended = run_plan(partial(commands.fake, exit_codes={"gan": 3}))
    assert code == 3
    assert ended["gan", 0] == (3, False)
    assert ended["alone", 0] == (0, False)
    assert {stage for stage, _ in started} == {"teacher", "gan", "alone"}  # the other two need the GAN


def test_output_goes_to_the_log_of_its_run(run_plan, commands, tmp_path, capfd):
    code, _, _ = run_plan(commands.print_and_fail)
    assert code == 1
    log = tmp_path / "runs" / "tiny" / "teacher" / "seed0" / LOG
    assert log.read_text() == "what the stage prints\n"
    assert "what the stage prints" not in "".join(capfd.readouterr())


def test_a_killed_worker_ends_the_command_with_an_error(run_plan, commands):
    code, _, ended = run_plan(commands.kill_worker)
    assert code == 1
    assert "worker process was killed" in str(ended["teacher", 0][0])


def test_the_report_is_that_of_a_sequential_run(experiment_file, tmp_path, commands):
    rows = []
    for jobs in (1, 2):
        console, out = Console(file=io.StringIO(), width=80), tmp_path / f"jobs{jobs}"
        assert reproduce(experiment_file, out, (0, 1), False, "", commands.fake, console, jobs=jobs) == 0
        rows.append(json.loads((out / "tiny" / "report.json").read_text())["rows"])
    assert rows[0] == rows[1]
