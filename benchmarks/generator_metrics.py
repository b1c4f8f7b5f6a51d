"""Share of an epoch of a GAN that the computation of IS and FID takes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from benchmarks.rows import Row, row
from benchmarks.workspace import Workspace, data_config, network
from ganmc_lightning.callbacks import GeneratorMetricsMonitor
from ganmc_lightning.cli import main

BATCH_SIZE = 64
WIDTH = 32
SIZE = {"image_size": 28, "channels": 1}
BATCHES = 54_000 // BATCH_SIZE  # of an epoch of Fashion-MNIST
TIMED_BATCHES = 100


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


def measure(workspace: Workspace) -> list[Row]:
    """Measure the second epoch, when the statistics of real samples are cached."""
    extractor = f"classifier:{workspace.checkpoint('fashion_mnist', 'teacher')}"
    monitor = {
        "class_path": f"{GeneratorMetricsMonitor.__module__}.GeneratorMetricsMonitor",
        "init_args": {
            "extractor": {"class_path": "ganmc_lightning.metrics.make_extractor", "init_args": {"spec": extractor}},
            "metrics": ["inception_score", "fid"],
        },
    }
    timer = {"class_path": "benchmarks.generator_metrics.MetricsTimer"}
    trainer = {"max_epochs": 2, "limit_train_batches": TIMED_BATCHES, "callbacks": [timer, monitor]}
    command = workspace.fit("fashion_mnist", "scored", {**_gan(), "trainer": trainer})
    shutil.rmtree(Path(command[command.index("--trainer.default_root_dir") + 1]), ignore_errors=True)
    assert main(command) == 0
    training = (MetricsTimer.epoch - MetricsTimer.validation) / TIMED_BATCHES * BATCHES
    name = f"a pass of IS and FID of 10,000 images, share of an epoch of a DCGAN of width {WIDTH}"
    return [row(name, MetricsTimer.validation / (MetricsTimer.validation + training), "", "< 0.10")]


def _gan() -> dict[str, Any]:
    model = {
        "class_path": "ganmc_lightning.modules.GANModule",
        "init_args": {
            "generator": network("DCGANGenerator", **SIZE, width=WIDTH),
            "discriminator": network("DCGANDiscriminator", **SIZE, width=WIDTH),
        },
    }
    return {"model": model, "data": data_config("fashion_mnist", BATCH_SIZE)}
