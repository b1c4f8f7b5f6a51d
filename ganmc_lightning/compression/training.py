"""Train one stage in its run folder, or resume it; measure the duration of its epochs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from torch import nn

from ganmc_lightning.compression.progress import ProgressLines, Report
from ganmc_lightning.compression.stages import CompressionStage
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.networks import load_network
from ganmc_lightning.networks.profiling import count_parameters, device_name, synchronize
from ganmc_lightning.runs.accelerator import resolve_accelerator
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.lightning_messages import filter_lightning_warnings
from ganmc_lightning.runs.precision import TrainingPrecision

MEASURED_STEPS = 6
"""Number of steps of each of the two epochs that are trained to estimate the duration, if there are no workers."""
MEASURED_BATCHES = 3
"""Batches of each worker after the first step; of them, two are loaded in advance and are no measure of its speed."""


def train_stage(
    stage: CompressionStage,
    folder: RunFolder,
    *,
    epochs: int,
    seed: int,
    precision: TrainingPrecision,
    command: str,
    report: Report,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train a stage, from its last checkpoint if there is one; do nothing if its run is complete.

    Args:
        stage: the stage.
        folder: its run folder.
        epochs: number of epochs.
        seed: random seed of the run.
        precision: precision of the training.
        command: command line for ``result.json``.
        report: called with lines about the progress, unless there is a progress bar.
        callbacks: callbacks of the caller, such as a progress bar.

    Raises:
        ConfigurationError: networks and data do not match, or a file cannot be written.
        DivergenceError: the training diverged.
    """
    if folder.read_result() is not None:
        return
    seed_everything(seed, verbose=False)
    data = stage.make_data()
    module = stage.make_module(epochs * count_train_batches(data))
    lines = [] if _has_progress_bar(callbacks) else [ProgressLines(stage.text, report)]
    checkpoint = RunModelCheckpoint(folder.checkpoints, stage.monitor, mode="max")
    trainer = _make_trainer(
        precision,
        [*callbacks, *lines, *stage.callbacks(), checkpoint],
        folder,
        max_epochs=epochs,
    )
    last = folder.last_checkpoint
    _fit(trainer, module, data, str(last) if last.is_file() else None)
    folder.update_result(
        command=command,
        seed=seed,
        metrics=checkpoint.best_scores,
        steps=module.iteration,
        train_seconds=round(module.train_seconds, 2),
        device=device_name(trainer.strategy.root_device),
        precision=precision,
        parameters=count_parameters(module.get_submodule(module.trained_module)),
    )


def load_trained(stage: CompressionStage, folder: RunFolder, network: nn.Module) -> nn.Module:
    """Load the best weights of a stage into a network and return the network, in evaluation mode."""
    return load_network(str(folder.best_checkpoint), stage.network, network)


def measure_epoch(stage: CompressionStage, precision: TrainingPrecision) -> float:
    """Measure the seconds of one epoch of a stage: its steps, validation, checkpoints and learning curves.

    The second of two short epochs is measured, in a temporary folder, because the first one is slower.

    Args:
        stage: the stage.
        precision: precision of the training.
    """
    data = stage.make_data()
    measured = max(MEASURED_STEPS, 1 + MEASURED_BATCHES * data.num_workers)
    # Workers finish their batches together, so that most steps are shorter than the mean.
    timer = _EpochTimer(mean if data.num_workers else median)
    with TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        checkpoint = RunModelCheckpoint(folder.checkpoints, stage.monitor, mode="max")
        trainer = _make_trainer(
            precision,
            [timer, *stage.callbacks(), checkpoint],
            folder,
            max_epochs=2,
            limit_train_batches=measured,
            limit_val_batches=measured,
        )
        _fit(trainer, stage.make_module(2 * measured), data)
    return timer.epoch_seconds(count_train_batches(data), len(data.val_dataloader()))


def count_train_batches(data: GANAugmentedDataModule) -> int:
    """Return the number of training batches of an epoch."""
    data.prepare_data()
    data.setup("test")  # without fitting a synthesizer
    return len(data.train_dataloader())


def _make_trainer(
    precision: TrainingPrecision, callbacks: list[Callback], folder: RunFolder, **arguments: Any
) -> Trainer:
    with warnings.catch_warnings():
        filter_lightning_warnings()  # the constructor prints devices, precision and tips
        return Trainer(
            **arguments,
            accelerator=resolve_accelerator(),
            precision=precision,
            callbacks=callbacks,
            default_root_dir=folder.path,
            logger=ResumableCSVLogger(str(folder.path)),
            plugins=[AtomicCheckpointIO()],
            devices=1,
            enable_progress_bar=_has_progress_bar(callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )


def _has_progress_bar(callbacks: Sequence[Callback]) -> bool:
    return any(isinstance(callback, ProgressBar) for callback in callbacks)


def _fit(
    trainer: Trainer, module: CompressionModule, data: GANAugmentedDataModule, checkpoint: str | None = None
) -> None:
    with warnings.catch_warnings():
        filter_lightning_warnings()
        trainer.fit(module, data, ckpt_path=checkpoint)


class _EpochTimer(Callback):
    """Times of the last epoch, after the device has finished.

    Args:
        average: returns the duration of a step, given several.
    """

    def __init__(self, average: Callable[[Sequence[float]], float]) -> None:
        self._average = average
        self._started = self._last = self._seconds = 0.0
        self._steps: list[float] = []
        self._val_steps: list[float] = []

    def epoch_seconds(self, steps: int, val_steps: int) -> float:
        """Return the estimated duration of an epoch with more steps.

        Args:
            steps: number of training steps.
            val_steps: number of batches of the validation.
        """
        # The first of several steps contains the start of the loader.
        step, val_step = (self._average(durations[1:] or durations) for durations in (self._steps, self._val_steps))
        rest = self._seconds - len(self._steps) * step - len(self._val_steps) * val_step
        return steps * step + val_steps * val_step + max(0.0, rest)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = self._last = _now(pl_module)
        self._steps, self._val_steps = [], []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._add_to(self._steps, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last = _now(pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._add_to(self._val_steps, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seconds = _now(pl_module) - self._started

    def _add_to(self, durations: list[float], module: LightningModule) -> None:
        now = _now(module)
        durations.append(now - self._last)
        self._last = now


def _now(module: LightningModule) -> float:
    synchronize(module.device)
    return time.monotonic()
