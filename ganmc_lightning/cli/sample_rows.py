"""Generated rows as rows of the table that the generator was trained on."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import Schema
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.synthesizers.stored_rows import SCALED
from ganmc_lightning.tabular.checkpoint import DATA_STATE


class TableOfCheckpoint(NamedTuple):
    """How a checkpoint's data module scaled and named the columns of its table.

    Attributes:
        scaler: the way back to the units of the table.
        schema: names of the columns and the classes.
    """

    scaler: RowScaler
    schema: Schema

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> TableOfCheckpoint | None:
        """Take it out of a checkpoint; None where the run did not train on rows of a data module."""
        state = checkpoint.get(DATA_STATE) or {}
        if not state.get("scaler"):
            return None
        scaler = RowScaler.of_state(state["scaler"])
        schema = Schema.of_state(state["schema"]) if state.get("schema") else Schema.unnamed(len(scaler.mean))
        return cls(scaler, schema)


def write_rows(scaled: Tensor, labels: Tensor | None, table: TableOfCheckpoint | None, out: Path) -> str:
    """Write generated rows to a ``.csv`` or ``.npz`` file.

    Args:
        scaled: rows as the generator makes them, float (N, D).
        labels: their classes (N,), if they were made for any.
        table: the table they are rows of, if the checkpoint holds it.
        out: the file.

    Returns:
        What units they are in, for the terminal.

    Raises:
        ConfigurationError: a CSV file of rows without a table, or the file cannot be written.
    """
    if table is None:
        if out.suffix.lower() == ".csv":
            raise ConfigurationError(
                f"{out}: the checkpoint holds no scaler of a table, so its rows are known in scaled units alone: write "
                f"them to an npz file, --out {out.stem}.npz"
            )
        write_npz(out, {SCALED: scaled.numpy(), **_labels(labels)})
        return f"{SCALED}: scaled units, as the network sees them; the checkpoint holds no scaler of a table"
    rows = table.scaler.decode(scaled).to(torch.float64).numpy()
    if out.suffix.lower() == ".csv":
        header, columns = table.schema.decode(rows, None if labels is None else labels.tolist())
        with atomic_write(out) as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(header)
            lines.writerows(zip(*columns, strict=True))
        return f"in the units of the table, categories decoded: {', '.join(header)}"
    names = np.array(table.schema.names, dtype=np.str_)
    arrays = {"X": rows, SCALED: scaled.numpy(), "feature_names": names, **_labels(labels)}
    if table.schema.classes:
        arrays["class_names"] = np.array(table.schema.classes, dtype=np.str_)
    write_npz(out, arrays)
    return f"X in the units of the table, columns named in feature_names; {SCALED} as the network sees them"


def _labels(labels: Tensor | None) -> dict[str, Any]:
    return {} if labels is None else {"labels": labels.numpy()}
