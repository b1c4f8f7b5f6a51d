"""CSV logger that continues the file of a resumed run."""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.metrics_csv import read_metrics, read_rows_until

FIRST_COLUMNS = ["epoch", "step"]
Row = Mapping[str, Any]


class ResumableCSVLogger(Logger):
    """Append all logged values to ``metrics.csv`` in the run folder.

    Lightning's CSVLogger deletes the file when a run is resumed. This logger keeps the rows up to the step from which
    the run resumes; a row that is logged again replaces the old row. The file is rewritten only then and for new
    columns.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = RunFolder(Path(folder)).metrics
        self._columns: list[str] | None = None  # of the file; None before the first row
        self._recent: list[tuple[float, frozenset[str]]] = []  # steps and columns of the last rows

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
        """Append one row, or replace the row of the same step and columns.

        Raises:
            ConfigurationError: the disk is full or the folder is not writable.
        """
        row = {**metrics, "step": 0 if step is None else step}
        try:
            self._write(row)
        except OSError as error:
            raise ConfigurationError(f"{self.path}: cannot be written ({error.strerror}); free space") from error

    @rank_zero_only
    def save(self) -> None:
        """Wait until the file is on the disk; called before a checkpoint, so that no row of it is missing."""
        if self._columns is not None:
            with self.path.open("r+b") as file:  # Windows requires a writable file
                os.fsync(file.fileno())

    def _write(self, row: Row) -> None:
        step, key = float(row["step"]), (float(row["step"]), frozenset(row))
        if self._columns is None:
            rows = read_rows_until(self.path, step)
            self._recent = [_key(kept) for kept in rows]
            self._rewrite(rows)
        self._recent = [recent for recent in self._recent if recent[0] >= step]
        assert self._columns is not None
        if key in self._recent:
            rows = read_metrics(self.path)
            place = max(index for index, other in enumerate(rows) if _key(other) == key)
            self._rewrite([*rows[:place], row, *rows[place + 1 :]])
            return
        self._recent.append(key)
        if row.keys() <= set(self._columns):
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)
        else:
            self._rewrite([*read_metrics(self.path), row])

    def _rewrite(self, rows: Sequence[Row]) -> None:
        self._columns = [*FIRST_COLUMNS, *_other_columns(rows)]
        with atomic_write(self.path) as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


def _key(row: Row) -> tuple[float, frozenset[str]]:
    return float(row["step"]), frozenset(row)


def _other_columns(rows: Iterable[Row]) -> list[str]:
    return sorted({name for row in rows for name in row}.difference(FIRST_COLUMNS))
