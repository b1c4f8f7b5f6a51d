"""A run of 200,000 small steps with all components: memory, speed and open files stay constant."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Adam

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import DistillationModule
from ganmc_lightning.networks import ACGANGenerator, MLPClassifier
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import GeneratorSynthesizer, PooledSynthesizer

STEPS = 200_000
CHUNKS = 200
"""Number of measured intervals; the first one, of compiled kernels and growing caches, is not compared."""


class Measurement(Callback):
    """Processor time, resident memory and open files of the process, after each chunk of ``size`` steps."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.seconds: list[float] = []
        self.mebibytes: list[float] = []
        self.files: list[int] = []
        self._started_at = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started_at = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step % self.size == 0:
            self.seconds.append(time.process_time() - self._started_at)
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.mebibytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            self.files.append(len(list(Path("/proc/self/fd").iterdir())))
            self._started_at = time.process_time()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Found .* module\\(s\\) in eval mode")  # the teacher
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_speed_and_open_files_of_a_long_run(
    make_data: Callable[..., Any],
    make_run_trainer: Callable[..., Trainer],
    tmp_path: Path,
    cases: Callable[[int], int],
    record_figures: Callable[..., None],
) -> None:
    """Pool, cached logits, average of the weights, metrics, metrics.csv, checkpoints and validation.

    Processor time is that of the fastest chunk of a tenth, because other processes slow down single chunks.
    """
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (1640, 8, 8, 1), dtype=np.uint8), np.arange(1640) % 3
    np.savez(
        tmp_path / "long.npz",
        train_images=images[40:],
        train_labels=labels[40:],
        test_images=images[:40],
        test_labels=labels[:40],
    )
    generator = ACGANGenerator(8, 1, num_classes=3, latent_dim=8, width=4)
    pool = PooledSynthesizer(GeneratorSynthesizer(generator), size=400)
    data = make_data(
        batch_size=16, dataset=NpzFile(tmp_path / "long.npz"), synthesizer=pool, p_fake=0.5, cache_logits=True
    )
    teacher, student = MLPClassifier(64, 3, (32,)), MLPClassifier(64, 3, (8,))
    steps = cases(STEPS)
    measurement = Measurement(steps // CHUNKS)
    trainer = make_run_trainer(
        tmp_path / "run",
        [GeneratorEMA(submodule="student"), measurement],
        {"monitor": "val/cross_entropy"},
        max_steps=steps,
        max_epochs=-1,
        check_val_every_n_epoch=10,
    )
    trainer.fit(DistillationModule(teacher, student, optimizer=partial(Adam, lr=1e-4)), data)

    tenth = CHUNKS // 10
    first, last = min(measurement.seconds[1 : 1 + tenth]), min(measurement.seconds[-tenth:])
    memory = measurement.mebibytes[tenth:]
    figures = {
        "steps": trainer.global_step,
        "milliseconds_per_step": [
            round(1000 * min(measurement.seconds[at : at + tenth]) / measurement.size, 4)
            for at in range(0, CHUNKS, tenth)
        ],
        "slowdown": round(last / first - 1, 4),
        "resident_mib": [round(value, 1) for value in measurement.mebibytes[tenth - 1 :: tenth]],
        "memory_growth": round(memory[-1] / memory[0] - 1, 4),
        "open_files": sorted(set(measurement.files)),
        "rows_of_metrics": len(read_metrics(tmp_path / "run" / "metrics.csv")),
    }
    record_figures("long_runs", **figures)
    assert figures["steps"] == steps
    assert figures["slowdown"] < 0.05
    assert figures["memory_growth"] < 0.02
    assert measurement.files[-1] <= measurement.files[0]
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == steps
