"""Progress bar and summary of the networks, both at most 80 characters wide."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import (
    BatchesProcessedColumn,
    CustomBarColumn,
    CustomTimeColumn,
    ProcessingSpeedColumn,
)
from rich.console import Console, Group, RenderableType
from rich.progress import ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

REFRESH_SECONDS = 1.0
"""Interval between updates of the progress bar, each of which takes longer than a step of a small network."""
BAR_WIDTH = 20
THREAD_RATE = 20
"""Checks per second for an update, in the thread that renders; the end of a run waits for one of them."""


class ProgressBar(RichProgressBar):
    """Rich progress bar, updated once per second; the losses and the monitored metric are in a second line.

    Lightning's updates it in each batch, which waits for the device to read the metrics. It prints the metrics in the
    last column, which wraps names and compresses the other columns in a terminal of 80 characters.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=THREAD_RATE)
        self._updated_at = 0.0
        self._lines = TwoLineColumn(
            TextColumn("{task.description}"),
            CustomBarColumn(bar_width=BAR_WIDTH),
            BatchesProcessedColumn(style=""),
            CustomTimeColumn(style="dim"),
            ProcessingSpeedColumn(style="dim"),
        )

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        """Return one column that renders all others."""
        return [self._lines]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Update the bar if the interval has elapsed, and after the last batch."""
        if self._is_due() or trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, *args)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Update the bar if the interval has elapsed."""
        if self._is_due():
            super().on_validation_batch_end(trainer, pl_module, *args)

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._updated_at >= REFRESH_SECONDS
        if due:
            self._updated_at = now
        return due

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Show the training losses and the monitored metric in the second line; return none for Lightning's column."""
        checkpoint = trainer.checkpoint_callback
        monitor = checkpoint.monitor if isinstance(checkpoint, ModelCheckpoint) else None
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        self._lines.metrics = {
            name.removeprefix("train/"): float(value)
            for name, value in metrics.items()
            if name == monitor or name.startswith("train/loss")
        }
        self._lines.task = self.train_progress_bar_id
        return {}


class TwoLineColumn(ProgressColumn):
    """Columns in the first line, metrics with their full names in the second.

    Args:
        columns: columns of the first line.

    Attributes:
        metrics: metrics by name.
        task: the task with a second line; None for no task.
    """

    max_refresh = None

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__()
        self.columns = columns
        self.metrics: dict[str, float] = {}
        self.task: int | None = None

    def render(self, task: Task) -> RenderableType:
        """Render a task."""
        line = Table.grid(*(column.get_table_column().copy() for column in self.columns), padding=(0, 1))
        line.add_row(*(column(task) for column in self.columns))
        if not self.metrics or task.id != self.task:
            return line
        return Group(
            line, Text("  ".join(f"{name}: {value:.4g}" for name, value in self.metrics.items()), style="italic")
        )


class NetworkSummary(ModelSummary):
    """Print type, parameters and mode of each network of the module.

    Lightning's summary also has FLOPs, which are always 0 for modules without ``example_input_array``;
    ``result.json`` contains those of the trained network.
    """

    @staticmethod
    def summarize(
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        *_: Any,
        **__: Any,
    ) -> None:
        """Print the table and the number of parameters."""
        values = dict(summary_data)
        values["Type"] = [name.removeprefix("FSDP") for name in values["Type"]]  # a prefix of sharded networks
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("Name", "Type", "Params", "Mode"):
            table.add_column(heading.lower(), justify="right" if heading == "Params" else "left", no_wrap=True)
        for row in zip(*(values[heading] for heading in ("Name", "Type", "Params", "Mode")), strict=True):
            table.add_row(*row)
        console = Console()
        console.print(table)
        frozen = total_parameters - trainable_parameters
        console.print(f"{trainable_parameters:,} trainable parameters, {frozen:,} frozen", highlight=False)
