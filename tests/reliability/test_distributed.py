"""Four processes with every module; training commands started by Lightning, torchrun and SLURM's variables."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[1] / "modules" / "distributed_worker.py"
KINDS = ["classifier", "distillation", "hints", "anc", "gan", "wgan_gp", "acgan", "gan_compression", "joint"]
REDUCED = ("classifier", "distillation", "hints")
"""Modules whose gradients DistributedDataParallel averages. It orders its buckets anew after the first step of a
process, and sums of more than two numbers depend on their order, so that their resumed runs differ by rounding."""
TIMEOUT = 1800  # seconds, for a hang
CONFIG = """
trainer:
  default_root_dir: {folder}
  max_epochs: 2
  accelerator: cpu
  precision: 32-true
  log_every_n_steps: 2
  enable_progress_bar: false
  callbacks:
    - {{class_path: ganmc_lightning.callbacks.GeneratorEMA, init_args: {{decay: 0.9}}}}
    - {{class_path: ganmc_lightning.callbacks.SampleGrid, init_args: {{columns: 4}}}}
data:
  dataset: {{class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {{path: {data}/tiny.npz}}}}
model:
  class_path: ganmc_lightning.modules.ACGANModule
  init_args:
    generator:
      class_path: ganmc_lightning.networks.ACGANGenerator
      init_args: {{image_size: 8, channels: 1, num_classes: 3, latent_dim: 8, width: 4}}
    discriminator:
      class_path: ganmc_lightning.networks.ACGANDiscriminator
      init_args: {{image_size: 8, channels: 1, num_classes: 3, width: 2}}
"""


def environment(**variables: object) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **{name: str(value) for name, value in variables.items()}}


def test_four_processes_equal_one(
    tmp_path: Path, data_root: Path, cases: Callable[[int], int], record_figures: Callable[..., None]
) -> None:
    """Each case trains all modules with other initial weights."""
    reports: list[dict[str, Any]] = []
    for seed in range(cases(1)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, SCRIPT, folder, data_root / "tiny.npz", "4", ",".join(KINDS), str(seed)],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(done.stdout.splitlines()[-1]))
    compared = [name for name, found in reports[0].items() if "parameters" in found]
    largest = {name: max(report[name]["parameters"] for report in reports) for name in compared}
    metrics = {name: max(report[name]["metrics"] for report in reports) for name in compared}
    kinds = [name.removeprefix("resumed ") for name in reports[0] if name.startswith("resumed")]
    resumed = {kind: [report[f"resumed {kind}"] for report in reports] for kind in kinds}
    rounding = {kind: max(each["resumed_difference"] for each in found) for kind, found in resumed.items()}
    record_figures(
        "distributed",
        processes=4,
        runs=len(reports) * (len(compared) + 3 * len(kinds)),
        largest_parameter_difference=largest,
        largest_metric_difference=metrics,
        largest_resumed_difference={
            kind: max(x["resumed_difference"] for x in found) for kind, found in resumed.items()
        },
        unequal_processes=[kind for kind, found in resumed.items() for each in found if each["processes"]],
    )
    assert max(largest.values()) < 1e-5
    assert max(metrics.values()) < 1e-4  # some are sums of hundreds of float32 values
    for kind, found in resumed.items():
        for each in found:
            assert rounding[kind] <= (1e-6 if kind in REDUCED else 0.0), kind
            assert kind in REDUCED or each["resumed"] == {"3": "", "6": ""}, kind
            assert each["processes"] == "", kind
            assert each["all_real"] == sum(each["real"])
            assert each["all_drawn"] == sum(each["drawn"])
            assert each["written"][1:] == [0, 0, 0]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


Command = tuple[list[str], dict[str, str]]


def lightning(fit: list[str]) -> list[Command]:
    """One process, which starts three others."""
    return [([sys.executable, "-m", "ganmc_lightning", *fit, "--trainer.devices", "4"], environment())]


def torchrun(fit: list[str]) -> list[Command]:
    """Two groups of two processes, as on two machines."""
    endpoint = f"127.0.0.1:{free_port()}"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2"]
    launch += ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--local-addr", "127.0.0.1"]
    command = [*launch, "-m", "ganmc_lightning", *fit, "--trainer.num_nodes", "2", "--trainer.devices", "2"]
    return [(command, environment())] * 2


def slurm(fit: list[str]) -> list[Command]:
    """Four processes with the variables of ``srun`` on two machines."""
    command = [sys.executable, "-m", "ganmc_lightning", *fit, "--trainer.num_nodes", "2", "--trainer.devices", "2"]
    job = {"SLURM_JOB_ID": 4711, "SLURM_JOB_NAME": "fit", "SLURM_NTASKS": 4, "SLURM_NTASKS_PER_NODE": 2}
    job |= {"SLURM_NODELIST": "127.0.0.1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    tasks = ({"SLURM_PROCID": k, "SLURM_LOCALID": k % 2, "SLURM_NODEID": k // 2} for k in range(4))
    return [(command, environment(**job, **task)) for task in tasks]


def fit(commands: list[Command]) -> None:
    processes = [
        subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for command, variables in commands
    ]
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(outputs)
    assert sum("steps in" in output for output in outputs) == 1  # one process prints the result


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("launcher", [lightning, torchrun, slurm])
def test_launchers_write_one_run_folder(
    launcher: Callable[[list[str]], list[Command]], tmp_path: Path, data_root: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(folder=tmp_path / "four", data=data_root), encoding="utf-8")
    arguments = ["fit", "--config", str(config), "--data.batch_size", "9", "--trainer.strategy", "ddp"]
    fit(launcher(arguments))
    arguments = ["fit", "--config", str(config), "--data.batch_size", "36", "--trainer.devices", "1"]
    arguments += ["--trainer.default_root_dir", str(tmp_path / "one")]
    fit([([sys.executable, "-m", "ganmc_lightning", *arguments], environment())])

    assert files_of(tmp_path / "four") == files_of(tmp_path / "one")
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("four", "one")]
    assert results[0]["steps"] == results[1]["steps"] == 6  # 108 samples, 36 a step, two epochs
    assert results[0]["metrics"].keys() == results[1]["metrics"].keys()
    four, one = ((tmp_path / name / "metrics.csv").read_text(encoding="utf-8") for name in ("four", "one"))
    steps = [[row["step"] for row in csv.DictReader(text.splitlines())] for text in (four, one)]
    assert steps[0] == steps[1]
    last = torch.load(tmp_path / "four" / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(last["other_processes"]) == 3
