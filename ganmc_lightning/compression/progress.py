"""Lines about the progress of a training, where there is no progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable

from lightning.pytorch import Callback, LightningModule, Trainer

Report = Callable[[str], None]
LINES = 10
"""Largest number of lines per training."""


def duration_text(seconds: float) -> str:
    """Return a duration in its largest suitable unit.

    Example:
        >>> [duration_text(seconds) for seconds in (40, 1800, 9000)]
        ['40 s', '30 min', '2.5 h']
    """
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


class ProgressLines(Callback):
    """Report epoch, validation accuracy and remaining time after about every tenth of the epochs.

    Args:
        text: description of the training.
        report: called with each line.
    """

    def __init__(self, text: str, report: Report) -> None:
        self._text = text
        self._report = report
        self._first = 0
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; a resumed training starts at a later epoch."""
        self._first, self._started = trainer.current_epoch, time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch if it is due."""
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        if done % -(-epochs // LINES) and done != epochs:
            return
        line = f"{self._text}: epoch {done}/{epochs}"
        if "val/accuracy" in trainer.callback_metrics:
            line += f", validation accuracy {float(trainer.callback_metrics['val/accuracy']):.4f}"
        if done < epochs:
            seconds = (time.monotonic() - self._started) / (done - self._first) * (epochs - done)
            line += f", {duration_text(seconds)} left"
        self._report(line)
