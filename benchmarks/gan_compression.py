"""Throughput of generator compression with the MSE loss, the cost of metrics, and peak memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback

from benchmarks.memory import measure_peak
from benchmarks.timing import compare, row, run_fresh, time_fit, time_loop
from benchmarks.workspace import Workspace, data_config, network
from ganmc_lightning.callbacks import GeneratorMetricsMonitor
from ganmc_lightning.networks import DCGANGenerator, load_generator

BATCH_SIZE = 64
TEACHER_WIDTH = 32
TARGETS = {2: 0.85, 8: 0.85, 16: 0.95, 32: 0.95}  # ratio by width of the student; overheads are larger for small ones
SIZE = {"image_size": 28, "channels": 1}
BATCHES = 54_000 // BATCH_SIZE  # of an epoch of Fashion-MNIST


class MetricsTimer(Callback):
    """Measure the seconds of validations and training epochs; the last values are stored on the class."""

    validation = 0.0
    epoch = 0.0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.epoch_started = time.perf_counter()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.started = time.perf_counter()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        MetricsTimer.validation = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        MetricsTimer.epoch = time.perf_counter() - self.epoch_started


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Measure students of several widths, then one epoch of a GAN with metrics, then memory."""
    short = {"max_steps": 1, "limit_val_batches": 1}
    run_fresh(workspace, "fashion_mnist", "dcgan", _gan(workspace, TEACHER_WIDTH) | {"trainer": short})
    rows = []
    count = max(20, steps // 2)
    for width, target in TARGETS.items():
        name = f"generator of width {width} after one of {TEACHER_WIDTH}, MSE"
        fit = partial(time_fit, workspace, "fashion_mnist", "timed_generator", _compression(workspace, width), count)
        loop = partial(time_loop, _make_step(workspace, width), count)
        rows += compare(name, "images/s", f">= {target:.2f}", count * BATCH_SIZE, fit, loop)
    config = _compression(workspace, 8) | {"trainer": {"max_steps": 5, "limit_val_batches": 1}}
    memory = measure_peak(workspace, workspace.fit("fashion_mnist", "generator_memory", config))
    rows.append(_metrics_share(workspace))
    if memory is not None:
        rows.append(row("ganmc fit, generator of width 8, MSE, peak memory", memory, "GiB", None))
    return rows


def _generator(width: int) -> dict[str, object]:
    return network("DCGANGenerator", **SIZE, width=width)


def _gan(workspace: Workspace, width: int) -> dict[str, Any]:
    discriminator = network("DCGANDiscriminator", **SIZE, width=width)
    model = {
        "class_path": "ganmc_lightning.modules.GANModule",
        "init_args": {"generator": _generator(width), "discriminator": discriminator},
    }
    return {"model": model, "data": data_config("fashion_mnist", BATCH_SIZE)}


def _compression(workspace: Workspace, width: int) -> dict[str, Any]:
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
    }


def _make_step(workspace: Workspace, width: int) -> Callable[[int], None]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher = load_generator(str(workspace.checkpoint("fashion_mnist", "dcgan"))).to(device)
    student = DCGANGenerator(**SIZE, width=width).to(device).train()
    optimizer = torch.optim.Adam(student.parameters())

    def step(k: int) -> None:
        latents = torch.randn(BATCH_SIZE, student.latent_dim, device=device)
        with torch.no_grad():
            target = teacher(latents)
        loss = F.mse_loss(student(latents), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _metrics_share(workspace: Workspace) -> dict[str, Any]:
    """Return the share of metrics in the second epoch of a GAN, when the statistics of real samples are cached."""
    config = _gan(workspace, TEACHER_WIDTH)
    extractor = f"classifier:{workspace.checkpoint('fashion_mnist', 'teacher')}"
    config["trainer"] = {
        "max_epochs": 2,
        "limit_train_batches": 100,
        "callbacks": [
            {"class_path": "benchmarks.gan_compression.MetricsTimer"},
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
    run_fresh(workspace, "fashion_mnist", "scored", config)
    training = (MetricsTimer.epoch - MetricsTimer.validation) / 100 * BATCHES  # 100 batches were timed
    name = f"a pass of IS and FID of 10,000 images, share of an epoch of a DCGAN of width {TEACHER_WIDTH}"
    return row(name, MetricsTimer.validation / (MetricsTimer.validation + training), "", "< 0.10")
