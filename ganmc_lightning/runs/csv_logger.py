"""CSV logger that continues the file of a resumed run."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.metrics_csv import read_rows_until


class ResumableCSVLogger(Logger):
    """Write all logged values to ``metrics.csv`` in the run folder.

    Lightning's CSVLogger deletes the file when a run is resumed. This logger keeps the rows up to the step from which
    the run resumes; a row that is logged again replaces the old row. Rows are stored in memory; the file is rewritten
    with each checkpoint and at the end.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = RunFolder(Path(folder)).metrics
        self._rows: list[dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """Empty: a run folder contains one version."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: ``config.yaml`` contains the hyperparameters."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add one row, or replace the row of the same step and columns."""
        at = 0 if step is None else step
        if self._rows is None:
            self._rows = [*read_rows_until(self.path, at)]
        row = {**metrics, "step": at}
        for k in range(len(self._rows) - 1, -1, -1):
            if float(self._rows[k]["step"]) < at:
                break
            if self._rows[k].keys() == row.keys():
                self._rows[k] = row
                return
        self._rows.append(row)

    def after_save_checkpoint(self, checkpoint_callback: object) -> None:
        """Write the file, so that it is as recent as the checkpoint."""
        self._write()

    def finalize(self, status: str) -> None:
        """Write the remaining rows."""
        self._write()

    @rank_zero_only
    def _write(self) -> None:
        if self._rows is None:
            return
        names = sorted({name for row in self._rows for name in row} - {"epoch", "step"})
        with atomic_write(self.path) as file:
            writer = csv.DictWriter(file, ["epoch", "step", *names])
            writer.writeheader()
            writer.writerows(self._rows)
