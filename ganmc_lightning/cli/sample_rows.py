"""Write generated samples as rows of the table that the generator was trained on."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganmc_lightning.batch import Statistics
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import TableSchema
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.io.samples import SCALED
from ganmc_lightning.synthesizers.rescaled import statistics_to_arrays
from ganmc_lightning.tabular.checkpoint import DATA_STATE


class CheckpointTable(NamedTuple):
    """Scaler and schema of the table that a checkpoint's data module was fitted to.

    Attributes:
        scaler: scaler from the units of the table to network inputs.
        schema: names of columns and classes.
    """

    scaler: RowScaler
    schema: TableSchema

    @classmethod
    def from_checkpoint(cls, checkpoint: Mapping[str, Any]) -> CheckpointTable | None:
        """Read scaler and schema from a checkpoint; None if the run was not trained on tabular data."""
        state = checkpoint.get(DATA_STATE) or {}
        if not state.get("scaler"):
            return None
        scaler = RowScaler.from_state_dict(state["scaler"])
        schema = (
            TableSchema.from_state_dict(state["schema"])
            if state.get("schema")
            else TableSchema.unnamed(len(scaler.mean))
        )
        return cls(scaler, schema)


def write_rows(scaled: Tensor, labels: Tensor | None, table: CheckpointTable | None, out: Path) -> str:
    """Write generated samples to a ``.csv`` or ``.npz`` file.

    Args:
        scaled: outputs of the generator, float (N, D).
        labels: conditioning labels (N,), or None.
        table: scaler and schema of the table, or None.
        out: path of the output file.

    Returns:
        A description of the arrays and units, for the terminal.

    Raises:
        ConfigurationError: ``out`` is a CSV file and ``table`` is None.
        OSError: the file cannot be written.
    """
    if table is None:
        if out.suffix.lower() == ".csv":
            raise ConfigurationError(
                f"--out: got {out}, expected {out.stem}.npz, because the checkpoint contains no scaler of a table"
            )
        write_npz(out, {SCALED: scaled.numpy(), **_labels(labels)})
        return f"{SCALED}: scaled units of the network; the checkpoint contains no scaler of a table"
    rows = table.scaler.inverse_transform(scaled).to(torch.float64).numpy()
    if out.suffix.lower() == ".csv":
        header, columns = table.schema.to_table(rows, None if labels is None else labels.tolist())
        with atomic_write(out) as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(header)
            lines.writerows(zip(*columns, strict=True))
        return f"in the units of the table, categories decoded: {', '.join(header)}"
    names = np.array(table.schema.names, dtype=np.str_)
    scaler = table.scaler
    statistics = statistics_to_arrays(Statistics(scaler.mean, scaler.std, scaler.quantiles))
    arrays = {"X": rows, SCALED: scaled.numpy(), **statistics, "feature_names": names, **_labels(labels)}
    if table.schema.classes:
        arrays["class_names"] = np.array(table.schema.classes, dtype=np.str_)
    write_npz(out, arrays)
    return f"X in the units of the table, columns in feature_names; {SCALED} in the scaled units of the network"


def _labels(labels: Tensor | None) -> dict[str, Any]:
    return {} if labels is None else {"labels": labels.numpy()}
