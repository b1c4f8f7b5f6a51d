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
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.checkpoints import read_checkpoint
from ganmc_lightning.networks.weight_files import file_format
from ganmc_lightning.synthesizers.rescaled import statistics_to_arrays
from ganmc_lightning.tabular.checkpoint import DAMAGES, DATA_STATE, damaged_state, scaler_of

MAX = 1e6
"""Scaled value beyond the values of any column."""


class CheckpointTable(NamedTuple):
    """Scaler and schema of the table that a checkpoint's data module was fitted to.

    Attributes:
        scaler: scaler from the units of the table to network inputs.
        schema: names of columns and classes.
    """

    scaler: RowScaler
    schema: TableSchema

    @classmethod
    def from_checkpoint(cls, checkpoint: Mapping[str, Any], path: str, generator: Generator) -> CheckpointTable | None:
        """Read scaler and schema from a checkpoint; None if the run was not trained on tabular data.

        Args:
            checkpoint: contents of the checkpoint.
            path: path of the checkpoint, for error messages.
            generator: generator of the checkpoint.

        Raises:
            ConfigurationError: scaler or schema are damaged, or do not match the generator.
        """
        (width,) = generator.sample_shape
        scaler = scaler_of(checkpoint, path, width)
        if scaler is None:
            return None
        state = checkpoint[DATA_STATE].get("schema")
        if not state:
            return cls(scaler, TableSchema.unnamed(width))
        try:
            schema = TableSchema.from_state_dict(state)
            if len(schema.names) != width:
                raise ValueError(f"got a schema of {len(schema.names)} columns, expected {width}")
            if schema.classes and len(schema.classes) < generator.num_classes:
                raise ValueError(f"got {len(schema.classes)} classes, expected {generator.num_classes}")
            smallest_and_largest = torch.tensor([[-MAX], [MAX]]).expand(2, width)
            schema.to_table(scaler.inverse_transform(smallest_and_largest).numpy(), None)
        except DAMAGES as error:
            raise damaged_state(path, error) from error
        return cls(scaler, schema)


def read_checkpoint_table(path: str, generator: Generator, out: Path) -> CheckpointTable | None:
    """Read the table of a generator's file; None if the file contains none, such as a ``.safetensors`` file.

    Args:
        path: checkpoint or ``.safetensors`` file.
        generator: generator of the file.
        out: path of the output file.

    Raises:
        ConfigurationError: scaler or schema are damaged, or are missing for a CSV file.
    """
    exported = file_format(path) == "safetensors"
    table = None if exported else CheckpointTable.from_checkpoint(read_checkpoint(path), path, generator)
    if table is None and out.suffix.lower() == ".csv":
        fix = "; or use the checkpoint of the training" if exported else ""
        raise ConfigurationError(
            f"--out: got {out}, expected {out.stem}.npz, because {path} contains no scaler of a table{fix}"
        )
    return table


def write_rows(
    scaled: Tensor,
    labels: Tensor | None,
    table: CheckpointTable | None,
    out: Path,
    statistics: Statistics | None = None,
) -> str:
    """Write generated samples to a ``.csv`` or ``.npz`` file.

    Args:
        scaled: outputs of the generator, float (N, D).
        labels: conditioning labels (N,), or None.
        table: scaler and schema of the table; None only for an ``.npz`` file.
        out: path of the output file.
        statistics: statistics that the samples are scaled with, if known without a table.

    Returns:
        A description of the arrays and units, for the terminal.

    Raises:
        OSError: the file cannot be written.
    """
    if table is None:
        scaled_with = {} if statistics is None else statistics_to_arrays(statistics)
        write_npz(out, {SCALED: scaled.numpy(), **scaled_with, **_labels(labels)})
        return f"{SCALED}: scaled units of the network; the file contains no scaler of a table"
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
    scaled_with = statistics_to_arrays(Statistics(scaler.mean, scaler.std, scaler.quantiles))
    arrays = {"X": rows, SCALED: scaled.numpy(), **scaled_with, "feature_names": names, **_labels(labels)}
    if table.schema.classes:
        arrays["class_names"] = np.array(table.schema.classes, dtype=np.str_)
    write_npz(out, arrays)
    return f"X in the units of the table, columns in feature_names; {SCALED} in the scaled units of the network"


def _labels(labels: Tensor | None) -> dict[str, Any]:
    return {} if labels is None else {"labels": labels.numpy()}
