"""Read ``metrics.csv``."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.input_files import read_text


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Read the rows of a ``metrics.csv`` without empty cells; return an empty list if the file does not exist.

    A last line without a line break is skipped: its process was killed while writing it.

    Raises:
        ConfigurationError: the file is not a table of UTF-8 text.
    """
    if not path.exists():
        return []
    text = read_text(path)
    try:
        rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
        return [{name: cell for name, cell in row.items() if cell} for row in rows]
    except csv.Error as error:
        raise ConfigurationError(f"{path}: damaged ({error}); remove the file") from error


def read_rows_until(path: Path, step: float) -> list[dict[str, str]]:
    """Read the rows of a ``metrics.csv`` up to a step, to continue the file.

    Raises:
        ConfigurationError: the file is not a table of UTF-8 text, or a row has no step or more cells than the header.
    """
    rows = read_metrics(path)
    for number, row in enumerate(rows, start=1):
        if _number(row.get("step")) is None or any(name is None for name in row):
            raise ConfigurationError(
                f"{path}: row {number}: got step {row.get('step')!r}, expected a number and no cells without a column; "
                "remove the row or the file"
            )
    return [row for row in rows if float(row["step"]) <= step]


def read_learning_curves(path: Path) -> dict[str, dict[int, float]]:
    """Average the rows of a ``metrics.csv`` by epoch.

    Cells that are not numbers are skipped.

    Returns:
        Column -> {epoch: mean}; empty if the file does not exist.
    """
    cells: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_metrics(path):
        epoch = _number(row.pop("epoch", None))
        row.pop("step", None)
        for column, text in row.items():
            value = _number(text)
            if epoch is not None and math.isfinite(epoch) and value is not None:
                cells[column][int(epoch)].append(value)
    return {
        column: {epoch: fmean(values) for epoch, values in sorted(epochs.items())} for column, epochs in cells.items()
    }


def _number(text: object) -> float | None:
    """Parse a cell, which is a list for rows that are longer than the header."""
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None
