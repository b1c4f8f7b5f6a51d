"""What every run of the command line carries along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, Terminated
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.runs.folder import RunFolder

REFRESH_EVERY = 20
"""Batches between two drawings of the bar: drawing it in each step costs as much as a small network's step."""


class ProgressBar(RichProgressBar):
    """Lightning's rich bar, drawn rarely and left standing once, with the epoch's scores behind it."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=REFRESH_EVERY)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The loss, and the score the best checkpoint is chosen by: more would not fit on a line."""
        metrics = super().get_metrics(trainer, pl_module)
        monitor = (
            trainer.checkpoint_callback.monitor if isinstance(trainer.checkpoint_callback, ModelCheckpoint) else None
        )
        return {
            name.removeprefix("train/"): value
            for name, value in metrics.items()
            if name == monitor or name.startswith("train/loss")
        }


class SaveConfig(SaveConfigCallback):
    """Writes the resolved configuration once everything has been checked, and hands it to W&B."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write nothing yet: the networks are held against the data after this hook."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``config.yaml`` into the run folder."""
        if not trainer.is_global_zero:
            return
        config = self.config.clone()
        config.ckpt_path = None  # where this run was taken up is no part of it: `ganmc test` would score that
        text = self.parser.dump(config, skip_none=False)
        with atomic_write(RunFolder(Path(trainer.default_root_dir)).config) as file:
            file.write(text)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.config.update(yaml.safe_load(text), allow_val_change=True)


class PredictionWriter(Callback):
    """Writes ``predictions.npz`` into the run folder.

    It holds what the module predicts for each test sample in their order, float32, under the name the module
    gives it (:attr:`~ganmc_lightning.modules.CompressionModule.prediction`), and ``labels`` int64 (N,).
    """

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._labels: list[Tensor] = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch's predictions."""
        self._outputs.append(outputs.float().cpu())
        self._labels.append(batch.labels.cpu())

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them all."""
        assert isinstance(pl_module, CompressionModule)
        path = RunFolder(Path(trainer.default_root_dir)).predictions
        outputs, labels = torch.cat(self._outputs), torch.cat(self._labels)
        write_npz(path, {pl_module.prediction: outputs.numpy(), "labels": labels.numpy()})
        print(f"{pl_module.prediction} of {len(labels)} samples: {path}")


class InterruptHandler(Callback):
    """Remembers that Ctrl-C or SIGTERM ended the run, and which checkpoint it can go on from.

    Attributes:
        status: the exit status; None where the run was not interrupted.
        message: what happened and what to do next; empty in all processes but the first.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.message = ""

    def on_predict_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop after SIGTERM: of Lightning's loops, that of predictions alone does not."""
        if trainer.received_sigterm:
            raise SIGTERMException

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take note of an interruption."""
        if isinstance(exception, KeyboardInterrupt):
            self.status, how = INTERRUPTED, "interrupted"
        elif isinstance(exception, SIGTERMException | Terminated):
            self.status, how = TERMINATED, "interrupted by SIGTERM"
        else:
            return
        if not trainer.is_global_zero:
            # Lightning kills the first process, which is perhaps saving, when another ends with any other status.
            self.status = 0
            return
        last = RunFolder(Path(trainer.default_root_dir)).last_checkpoint
        saved = trainer.state.fn == TrainerFn.FITTING and last.exists()
        advice = f"go on with --ckpt_path {last}" if saved else "nothing was saved, run the same command again"
        self.message = f"{how}; {advice}"
