"""Read ``metrics.csv``."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Read the rows of a ``metrics.csv`` without empty cells; return an empty list if the file does not exist.

    A last line without a line break is skipped: its process was killed while writing it.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(lines)]


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
            if epoch is not None and value is not None:
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
