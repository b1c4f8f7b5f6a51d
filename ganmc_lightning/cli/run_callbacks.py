"""What every run of the command line carries along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

from ganmc_lightning.files.atomic import replacing

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints in a run folder."""
REFRESH_EVERY = 20
"""Batches between two drawings of the bar: drawing it in each step costs as much as a small network's step."""


class ProgressBar(RichProgressBar):
    """Lightning's rich bar, drawn rarely and left standing once, with the epoch's scores behind it."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=REFRESH_EVERY)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The logged scores, without the logger's version number."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}


class SaveConfig(SaveConfigCallback):
    """Writes the resolved configuration once everything has been checked, and hands it to W&B."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write nothing yet: the networks are held against the data after this hook."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``config.yaml`` into the run folder."""
        if not trainer.is_global_zero:
            return
        text = self.parser.dump(self.config, skip_none=False)
        with replacing(Path(trainer.default_root_dir) / "config.yaml") as file:
            file.write(text)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.config.update(yaml.safe_load(text), allow_val_change=True)


class Interruption(Callback):
    """Remembers that Ctrl-C ended the run, and which checkpoint it can go on from.

    Attributes:
        happened: whether it did.
        advice: what to do next.
    """

    def __init__(self) -> None:
        self.happened = False
        self.advice = "nothing was saved yet"

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take note of a KeyboardInterrupt."""
        if not isinstance(exception, KeyboardInterrupt):
            return
        self.happened = True
        last = Path(trainer.default_root_dir) / CHECKPOINTS / "last.ckpt"
        if last.exists():
            self.advice = f"go on with --ckpt_path {last}"
