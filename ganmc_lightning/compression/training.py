"""Train one stage in its run folder, or resume it; measure the duration of its epochs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from statistics import median
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
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.lightning_messages import filter_lightning_warnings
from ganmc_lightning.runs.precision import TrainingPrecision

MEASURED_STEPS = 8
"""Number of steps that are trained to estimate the duration; the first is slower and not counted."""


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
        max_epochs=epochs,
        default_root_dir=folder.path,
        logger=ResumableCSVLogger(str(folder.path)),
        plugins=[AtomicCheckpointIO()],
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
    """Measure the seconds of one epoch of a stage, training and validation, by a few steps.

    Args:
        stage: the stage; nothing is written.
        precision: precision of the training.
    """
    data = stage.make_data()
    timer = _BatchTimer()
    trainer = _make_trainer(precision, [timer], fast_dev_run=MEASURED_STEPS, logger=False)
    _fit(trainer, stage.make_module(MEASURED_STEPS), data)
    return timer.seconds_per_batch * count_train_batches(data) + timer.seconds_per_val_batch * len(
        data.val_dataloader()
    )


def count_train_batches(data: GANAugmentedDataModule) -> int:
    """Return the number of training batches of an epoch."""
    data.prepare_data()
    data.setup("test")  # without fitting a synthesizer
    return len(data.train_dataloader())


def _make_trainer(precision: TrainingPrecision, callbacks: list[Callback], **arguments: Any) -> Trainer:
    with warnings.catch_warnings():
        filter_lightning_warnings()  # the constructor prints devices, precision and tips
        return Trainer(
            **arguments,
            precision=precision,
            callbacks=callbacks,
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


class _BatchTimer(Callback):
    """Times at the ends of batches, after the device has finished."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        self._val_start = 0.0
        self._val_batches = 0
        self.seconds_per_val_batch = 0.0

    @property
    def seconds_per_batch(self) -> float:
        """Median duration of a training step, without the first if there are others."""
        durations = [after - before for before, after in zip(self._ends, self._ends[1:], strict=False)]
        return median(durations[1:] or durations)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ends = [_now(pl_module)]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._ends.append(_now(pl_module))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._val_start, self._val_batches = _now(pl_module), 0

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._val_batches += 1
        self.seconds_per_val_batch = (_now(pl_module) - self._val_start) / self._val_batches


def _now(module: LightningModule) -> float:
    synchronize(module.device)
    return time.monotonic()
