"""Images per second of the MSE step of generator compression against a hand-written loop, and what scores cost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback

from benchmarks.distillation import ROUNDS, WARM_UP, StepTimer, _row, _synchronize
from benchmarks.memory import PROBE, STATUS
from benchmarks.workspace import Workspace, data_config, network
from ganmc_lightning.callbacks import GeneratorMetricsMonitor
from ganmc_lightning.cli import main
from ganmc_lightning.networks import DCGANGenerator, load_generator

BATCH_SIZE = 64
TEACHER_WIDTH = 32
WIDTHS = {2: 0.85, 8: 0.85, 16: 0.95, 32: 0.95}
SIZE = {"image_size": 28, "channels": 1}


class ScoreTimer(Callback):
    """Times validations and training epochs; the last results are kept on the class."""

    validation = 0.0
    epoch = 0.0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.epoch_started = time.perf_counter()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.started = time.perf_counter()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        ScoreTimer.validation = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        ScoreTimer.epoch = time.perf_counter() - self.epoch_started


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Alternate rounds of both for each width, and compare their medians; then one epoch of a GAN with scores."""
    _make_teacher(workspace)
    rows = []
    for width, target in WIDTHS.items():
        count = max(20, steps // 2)
        loop = _loop(workspace, width)
        times: dict[str, list[float]] = {"fit": [], "loop": []}
        for _ in range(ROUNDS):
            times["loop"].append(loop(count))
            times["fit"].append(_fit(workspace, width, count))
        speed = {kind: count * BATCH_SIZE / median(values) for kind, values in times.items()}
        name = f"generator of width {width} after one of {TEACHER_WIDTH}, MSE"
        rows.append(_row(f"ganmc fit, {name}", speed["fit"], "images/s", None))
        rows.append(_row(f"plain loop, {name}", speed["loop"], "images/s", None))
        rows.append(_row(f"ratio, {name}", speed["fit"] / speed["loop"], "", f">= {target:.2f}"))
    return [*rows, _score_share(workspace), *_peak_memory(workspace)]


def _generator(width: int) -> dict[str, object]:
    return network("DCGANGenerator", **SIZE, width=width)


def _gan(workspace: Workspace, width: int) -> dict[str, Any]:
    discriminator = network("DCGANDiscriminator", **SIZE, width=width)
    model = {
        "class_path": "ganmc_lightning.modules.GANModule",
        "init_args": {"generator": _generator(width), "discriminator": discriminator},
    }
    return {"model": model, "data": data_config("fashion_mnist", BATCH_SIZE)}


def _make_teacher(workspace: Workspace) -> None:
    short = ("--trainer.max_steps=1", "--trainer.limit_val_batches=1")
    command = workspace.fit("fashion_mnist", "dcgan", _gan(workspace, TEACHER_WIDTH), *short)
    assert main(command) == 0


def _compression(workspace: Workspace, width: int, **trainer: Any) -> dict[str, Any]:
    teacher = {
        "class_path": "ganmc_lightning.networks.load_generator",
        "init_args": {"path": str(workspace.checkpoint("fashion_mnist", "dcgan"))},
    }
    return {
        "model": {
            "class_path": "ganmc_lightning.modules.GANCompressionModule",
            "init_args": {"teacher": teacher, "student": _generator(width)},
        },
        "data": {"dataset": "ganmc_lightning.data.datasets.DataFreeSource", "batch_size": BATCH_SIZE},
        "trainer": {"limit_val_batches": 1, **trainer},
    }


def _fit(workspace: Workspace, width: int, steps: int) -> float:
    timer = {"class_path": "benchmarks.distillation.StepTimer", "init_args": {"steps": steps}}
    config = _compression(workspace, width, max_steps=WARM_UP + steps, callbacks=[timer])
    command = workspace.fit("fashion_mnist", "timed_generator", config)
    shutil.rmtree(Path(command[command.index("--trainer.default_root_dir") + 1]), ignore_errors=True)
    assert main(command) == 0
    return StepTimer.seconds


def _loop(workspace: Workspace, width: int) -> Callable[[int], float]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher = load_generator(str(workspace.checkpoint("fashion_mnist", "dcgan"))).to(device)
    student = DCGANGenerator(**SIZE, width=width).to(device).train()
    optimizer = torch.optim.Adam(student.parameters())

    def step() -> None:
        latents = torch.randn(BATCH_SIZE, student.latent_size, device=device)
        with torch.no_grad():
            due = teacher(latents)
        loss = F.mse_loss(student(latents), due)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def run(steps: int) -> float:
        for _ in range(WARM_UP):
            step()
        _synchronize()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        _synchronize()
        return time.perf_counter() - started

    return run


def _score_share(workspace: Workspace) -> dict[str, Any]:
    """The second validation of a GAN, behind which the real statistics are known, beside its second epoch."""
    config = _gan(workspace, TEACHER_WIDTH)
    extractor = f"classifier:{workspace.checkpoint('fashion_mnist', 'teacher')}"
    config["trainer"] = {
        "max_epochs": 2,
        "limit_train_batches": 100,
        "callbacks": [
            {"class_path": "benchmarks.gan_compression.ScoreTimer"},
            {
                "class_path": f"{GeneratorMetricsMonitor.__module__}.GeneratorMetricsMonitor",
                "init_args": {
                    "extractor": {
                        "class_path": "ganmc_lightning.metrics.make_extractor",
                        "init_args": {"spec": extractor},
                    },
                    "metrics": ["inception_score", "fid"],
                },
            },
        ],
    }
    command = workspace.fit("fashion_mnist", "scored", config)
    shutil.rmtree(Path(command[command.index("--trainer.default_root_dir") + 1]), ignore_errors=True)
    assert main(command) == 0
    whole = (ScoreTimer.epoch - ScoreTimer.validation) / 100 * (54_000 // BATCH_SIZE)  # an epoch is 843 batches
    name = f"a pass of IS and FID of 10,000 images, share of an epoch of a DCGAN of width {TEACHER_WIDTH}"
    return _row(name, ScoreTimer.validation / (ScoreTimer.validation + whole), "", "< 0.10")


def _peak_memory(workspace: Workspace) -> list[dict[str, Any]]:
    """Largest resident set of a whole process that compresses without a data set; on Linux alone."""
    if not STATUS.is_file():
        return []
    command = workspace.fit("fashion_mnist", "generator_memory", _compression(workspace, 8, max_steps=5))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command], check=True, capture_output=True, text=True, cwd=workspace.folder
    )
    return [
        _row("ganmc fit, generator of width 8, MSE, peak memory", float(done.stdout.split()[-1]) / 1024**2, "GiB", None)
    ]
