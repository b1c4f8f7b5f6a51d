"""Runs of an experiment on a Ray cluster and as jobs of submitit, both on this machine."""

from __future__ import annotations

import importlib
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.executors import InProcessExecutor, make_executor
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.results import load_results
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
def local_jobs(tmp_path, commands):
    pytest.importorskip("submitit")
    from ganmc_lightning.experiments.slurm_executor import SlurmExecutor

    return SlurmExecutor(tmp_path / "jobs", 2, {}, cluster="local")


def metrics(results):
    return {run: result.metrics for run, result in results.items()}


@pytest.mark.filterwarnings("ignore")  # of Ray
def test_ray_runs_a_killed_run_again(ray_executor, commands, experiment_file, tmp_path):
    """Two stages run in parallel, one process is killed, and results equal those of this process."""
    command = partial(commands.kill_once, stage="teacher")
    results = []
    for executor, folder in ((ray_executor, "ray"), (InProcessExecutor(), "here")):
        runs = plan_runs(load_experiment(experiment_file), tmp_path / folder, (0,), quick=False)
        chosen = command if folder == "ray" else commands.fake
        outcomes = run_stages(runs, chosen, commands.Recorder(), executor, jobs=2)
        assert {outcome.code for outcome in outcomes.values()} == {0}
        results.append([run.folder.path.name for run in runs] + [load_results(runs)])
    assert (tmp_path / "ray" / "tiny" / "teacher" / "seed0" / "killed").exists()
