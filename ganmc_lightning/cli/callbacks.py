"""Callbacks that the command line adds to every trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.cli.prediction_table import write_prediction_table
from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, Terminated
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.runs.folder import RunFolder


class SaveConfig(SaveConfigCallback):
    """Write ``config.yaml`` and send the configuration to W&B when training starts."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Do nothing, because the networks are validated against the data after this hook."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the resolved configuration into the run folder."""
        if not trainer.is_global_zero:
            return
        config = self.config.clone()
        config.ckpt_path = None  # else `ganmc test --config` would test the checkpoint that the run resumed from
        text = self.parser.dump(config, skip_none=False)
        folder = RunFolder(Path(trainer.default_root_dir))
        folder.start_training(resumed=trainer.ckpt_path is not None)
        with atomic_write(folder.config) as file:
            file.write(text)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.config.update(yaml.safe_load(text), allow_val_change=True)


class PrecisionPrinter(Callback):
    """Print the precision of the run, after the configuration and the checkpoint have been validated."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the precision of a training."""
        self._print(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the precision of ``ganmc validate``."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._print(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the precision of ``ganmc test``."""
        self._print(trainer)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the precision of ``ganmc predict``."""
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            print(f"precision: {trainer.precision}")


class PredictionWriter(Callback):  # not BasePredictionWriter, which warns about loaders without a batch sampler
    """Write ``predictions.npz`` and, for classifiers, ``predictions.csv`` into the run folder.

    The first file contains the float32 predictions for the test set, in an array named by the module's attribute
    ``prediction_name``, and ``labels``, int64 (N,), in the order of the data set; and ``class_names`` (K,) of named
    classes; and ``format_version``. The second file contains the most probable class of each sample, by name.
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
        """Collect the predictions of a batch."""
        self._outputs.append(outputs.float().cpu())
        self._labels.append(batch.labels.cpu())

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the files."""
        assert isinstance(pl_module, CompressionModule)
        folder, name = RunFolder(Path(trainer.default_root_dir)), pl_module.prediction_name
        outputs, labels = torch.cat(self._outputs), torch.cat(self._labels)
        data = getattr(trainer, "datamodule", None)
        class_names = data.spec.class_names if isinstance(data, SupportsDataSpec) else ()
        arrays = {name: outputs.numpy(), "labels": labels.numpy(), FORMAT_KEY: np.array(FORMAT_VERSION)}
        if class_names:
            arrays["class_names"] = np.array(class_names, dtype=np.str_)
        write_npz(folder.predictions, arrays)
        print(f"{name} of {len(labels)} samples: {folder.predictions}")
        if name == CompressionModule.prediction_name:
            write_prediction_table(folder.prediction_table, outputs, labels, class_names)
            print(f"predicted classes: {folder.prediction_table}")


class InterruptHandler(Callback):
    """Record whether Ctrl-C or SIGTERM ended the run, and how to resume.

    Attributes:
        exit_code: exit code of the command; None if the run was not interrupted.
        message: cause and hint to resume; empty except on rank 0.
        failure_hint: after an exception in a training, the end of its message, which names the last checkpoint.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.message = ""
        self.failure_hint = ""
        self._trained = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record that the run folder belongs to this run."""
        self._trained = True

    def on_predict_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop after SIGTERM, which Lightning's prediction loop, unlike its other loops, ignores."""
        if trainer.received_sigterm:
            raise SIGTERMException

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Record an interruption, or the last checkpoint after another exception."""
        last = RunFolder(Path(trainer.default_root_dir)).last_checkpoint
        saved = trainer.state.fn == TrainerFn.FITTING and last.exists()
        if isinstance(exception, KeyboardInterrupt):
            self.exit_code, cause = INTERRUPTED, "interrupted"
        elif isinstance(exception, SIGTERMException | Terminated):
            self.exit_code, cause = TERMINATED, "interrupted by SIGTERM"
        else:
            if self._trained and saved:
                self.failure_hint = f"; the last good checkpoint is {last}, resume with --ckpt_path"
            return
        if not trainer.is_global_zero:
            # On other exit codes, Lightning kills rank 0, which may be saving a checkpoint.
            self.exit_code = 0
            return
        hint = f"resume with --ckpt_path {last}" if saved else "no checkpoint was saved, run the command again"
        self.message = f"{cause}; {hint}"
