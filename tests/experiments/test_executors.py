"""Runs of an experiment on a Ray cluster and as jobs of submitit, both on this machine."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import time
import weakref
from functools import partial
from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import scheduling
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.executors import InProcessExecutor, make_executor
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.results import read_result
from ganmc_lightning.experiments.scheduling import run_stages


@pytest.fixture
def commands(monkeypatch):
    """Command lines that other processes can import, because PYTHONPATH contains this folder."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return importlib.import_module("worker_commands")


@pytest.fixture
def ray_executor(monkeypatch, commands):
    """Start Ray with two workers on this machine."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", partial(ray.init, num_cpus=2, include_dashboard=False))
    return make_executor("ray", 2, Path(), {"max_retries": 1})


@pytest.fixture
def local_jobs(tmp_path, commands, monkeypatch):
    core = pytest.importorskip("submitit.core.core")
    from ganmc_lightning.experiments.slurm_executor import SlurmExecutor

    monkeypatch.setattr(core.Job, "_results_timeout_s", 2)  # wait for the file of a job that ended; 15 s by default
    return SlurmExecutor(tmp_path / "jobs", 2, {}, cluster="local")


@pytest.fixture
def run_two(experiment_file, tmp_path, commands):
    """Execute two independent stages; return outcomes and metrics by stage."""

    def run_two(executor, command, out, **options):
        runs = plan_runs(load_experiment(experiment_file), tmp_path / out, (0,), quick=False)
        runs = [run for run in runs if run.stage in ("teacher", "gan")]
        outcomes = run_stages(runs, command, commands.Recorder(), executor, jobs=2, **options)
        finished = [run for run in runs if not outcomes[run.id].code]
        return {stage: outcome for (stage, _), outcome in outcomes.items()}, {
            run.stage: read_result(run).metrics for run in finished
        }

    return run_two


def test_memory_of_a_run_in_this_process_is_released(monkeypatch):
    """Trainer and module refer to each other."""
    alive = []
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(trainer() is not None))

    class Trainer:
        def __init__(self):
            self.module = self

    def run():
        return weakref.ref(Trainer())

    gc.disable()
    try:
        trainer = run()
        InProcessExecutor().submit(lambda: None)
    finally:
        gc.enable()
    assert alive == [False]


@pytest.mark.filterwarnings("ignore")  # of Ray
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ray_repeats_a_killed_run(ray_executor, run_two, commands, tmp_path, number):
    """Results equal those of this process."""
    expected = run_two(InProcessExecutor(), commands.fake, "here")
    assert run_two(ray_executor, partial(commands.kill_once, stage="teacher", number=number), "ray") == expected
    assert (tmp_path / "ray" / "tiny" / "teacher" / "seed0" / "killed").exists()


@pytest.mark.filterwarnings("ignore")  # of Ray
def test_ray_without_the_resources(monkeypatch, commands):
    """Ray would keep the tasks waiting."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", partial(ray.init, num_cpus=2, include_dashboard=False))
    with pytest.raises(ConfigurationError, match=r"--resources: got CPU 3, GPU 0, expected .* \(CPU 2, GPU 0\)"):
        make_executor("ray", 2, Path(), {"num_cpus": 3})
    assert not ray.is_initialized()


@pytest.mark.filterwarnings("ignore")  # of Ray
def test_ray_tasks_have_the_variables(ray_executor, monkeypatch):
    """Settings of W&B, such as WANDB_MODE=offline, but not its key."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "of this process")
    with ray_executor:
        assert ray_executor.submit(os.getenv, "WANDB_MODE").result() == "offline"
        assert ray_executor.submit(os.getenv, "WANDB_API_KEY").result() != "of this process"


def test_stopped_job_has_no_result(local_jobs, run_two, commands):
    """SIGTERM as at a preemption: SLURM requeues the job, and the process that was stopped writes no result."""
    outcomes, metrics = run_two(
        local_jobs, partial(commands.kill_once, stage="teacher", number=signal.SIGTERM), "remote"
    )
    assert {stage: outcome.code for stage, outcome in outcomes.items()} == {"teacher": 1, "gan": 0}
    assert "ended without a result" in outcomes["teacher"].error
    assert set(metrics) == {"gan"}


def test_requeued_job_has_the_next_result():
    """At the time limit, submitit saves the call again and raises SystemExit inside it."""
    pytest.importorskip("submitit")
    from ganmc_lightning.experiments.slurm_executor import _Requeueable

    call, saved = _Requeueable(), []

    def stop():
        if not saved:
            saved.append(call.checkpoint(stop))
            return -1  # exit code of the command
        return 0

    with pytest.raises(SystemExit):
        call(stop)
    assert saved[0].result() == 0


@pytest.mark.parametrize("name", ["nodes", "tasks_per_node"])
def test_jobs_of_several_tasks_are_refused(tmp_path, name):
    pytest.importorskip("submitit")
    with pytest.raises(ConfigurationError, match=f"--resources: got {name}=2, expected 1"):
        make_executor("slurm", 2, tmp_path, {name: 2})


def test_killed_job_fails_its_run_only(local_jobs, run_two, commands):
    """The other job has the results of this process."""
    _, expected = run_two(InProcessExecutor(), commands.fake, "here")
    outcomes, metrics = run_two(local_jobs, partial(commands.kill_once, stage="teacher"), "remote")
    assert {stage: outcome.code for stage, outcome in outcomes.items()} == {"teacher": 1, "gan": 0}
    assert "ended without a result" in outcomes["teacher"].error
    assert metrics == {"gan": expected["gan"]}


@pytest.mark.filterwarnings("ignore")  # of Ray
@pytest.mark.parametrize("executor", ["ray_executor", "local_jobs"])
def test_interrupted_runs_save(executor, commands, tmp_path, monkeypatch, request):
    """Ctrl-C while two runs are in progress; they save a file."""
    executor = request.getfixturevalue(executor)
    runs = commands.waiting_runs(tmp_path)
    recorder = commands.Recorder()

    def missing():
        marks = [run.folder.path / "process" for run in runs]
        return [mark.parent.name for mark in marks if not (mark.exists() and mark.read_text())]

    def interrupt(*_, **__):
        end = time.monotonic() + 60
        while missing() and time.monotonic() < end:
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduling, "wait", interrupt)
    outcomes = run_stages(runs, commands.wait_and_save, recorder, executor, jobs=2)
    assert not missing(), f"runs that have not started within 60 s: {missing()}"
    assert {outcome.code for outcome in outcomes.values()} == {130}
    assert all((run.folder.path / "saved").exists() for run in runs)


def test_refused_job_fails_its_run(tmp_path, monkeypatch):
    """`sbatch` refuses a partition."""
    pytest.importorskip("submitit")
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with make_executor("slurm", 2, tmp_path / "jobs", {"slurm_partition": "none"}) as executor:
        assert str(executor.submit(print).exception()) == "sbatch: error: invalid partition"


@pytest.mark.parametrize(
    ("on", "resources", "message"),
    [
        (None, {"num_gpus": 1}, "--resources: got num_gpus without --on"),
        ("dask", {}, "--on: got 'dask', expected ray"),
        ("slurm", {}, "--on slurm: "),  # not installed here
    ],
)
def test_invalid_clusters(on, resources, message, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    if on == "slurm":
        pytest.importorskip("submitit")
    with pytest.raises(ConfigurationError, match=message):
        make_executor(on, 2, tmp_path, resources)


def test_missing_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigurationError, match=r"--on slurm: submitit is missing; pip install"):
        make_executor("slurm", 2, tmp_path, {})
