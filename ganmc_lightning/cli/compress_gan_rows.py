"""Rows of a GAN with the columns of the table that is compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.cli.sample_rows import CheckpointTable
from ganmc_lightning.data.datasets.table_columns import is_number
from ganmc_lightning.data.schema import Field, TableSchema
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.checkpoints import read_checkpoint
from ganmc_lightning.tabular.checkpoint import load_synthesizer
from ganmc_lightning.tabular.sampling import SupportsSample


class TableSampler:
    """Sampler of a trained generator whose rows are a data frame with the columns of a table, in their order.

    Args:
        sampler: sampler of encoded rows.
        schema: columns of the generator's training data.
        like: rows of the table, data frame of float64 and text, for the columns and their types.

    Example:
        >>> from pandas import DataFrame
        >>> class Sampler:
        ...     def sample(self, n):
        ...         return np.tile([41.0, 0.0, 1.0], (n, 1)), np.zeros(n, dtype=np.int64)
        >>> schema = TableSchema((Field("age"), Field("color", ("blue", "red"), one_hot=True)))
        >>> table = DataFrame({"color": ["red", "blue"], "age": [7.0, 9.0]})
        >>> TableSampler(Sampler(), schema, table).sample(1)[0].to_dict("records")
        [{'color': 'red', 'age': 41.0}]
    """

    def __init__(self, sampler: SupportsSample, schema: TableSchema, like: Any) -> None:
        self.sampler = sampler
        self.schema = schema
        self.like = like

    def sample(self, n: int) -> tuple[Any, NDArray[np.int64]]:
        """Draw ``n`` rows, as a data frame, and their conditioning labels."""
        rows, labels = self.sampler.sample(n)
        columns: dict[str, NDArray[Any]] = {}
        start = 0
        for field in self.schema.fields:
            block = rows[:, start : start + field.width]
            start += field.width
            if not _is_number(self.like[field.name]):
                columns[field.name] = np.array(field.to_cells(block), dtype=object)
            elif field.one_hot:  # categories that are numbers
                columns[field.name] = np.array(field.to_cells(block), dtype=np.float64)
            else:
                columns[field.name] = block[:, 0]
        return type(self.like)(columns)[list(self.like.columns)], labels


def load_table_synthesizer(path: str, like: Any, source: str) -> TableSampler:
    """Load the generator of a tabular GAN as a sampler of the rows of a table.

    The columns may have another order than in the GAN's table. A GAN of unnamed columns has those of the table, in
    their order.

    Args:
        path: checkpoint of a GAN.
        like: features of the table, data frame of float64 and text.
        source: name of the table, for error messages.

    Raises:
        ConfigurationError: the checkpoint cannot be used, or the GAN was trained on other columns.
    """
    sampler = load_synthesizer(path)
    names = [str(name) for name in like.columns]
    table = CheckpointTable.from_checkpoint(read_checkpoint(path), path, sampler.generator)
    assert table is not None  # the sampler has its scaler
    schema, width = table.schema, len(table.scaler.mean)
    if schema == TableSchema.unnamed(width)._replace(label=schema.label, classes=schema.classes):
        if width != len(names):
            raise ConfigurationError(f"{path}: was trained on {width} columns, {source} has {len(names)} features")
        schema = TableSchema(tuple(map(Field, names)))
    _check_fields(schema.fields, like, path, source)
    return TableSampler(sampler, schema, like)


def _check_fields(fields: Sequence[Field], like: Any, path: str, source: str) -> None:
    """Validate that the columns of a GAN are those of a table.

    Raises:
        ConfigurationError: naming the first column that is missing, additional, or text in one of the two only.
    """
    trained, names = [field.name for field in fields], [str(name) for name in like.columns]
    for name in trained:
        if name not in names:
            raise ConfigurationError(f"{path}: was trained on the column {name!r}, which is no feature of {source}")
    for name in names:
        if name not in trained:
            raise ConfigurationError(f"{path}: was not trained on the column {name!r} of {source}; drop it (--drop)")
    for field in fields:
        what = f"{path}: was trained on the column {field.name!r}"
        texts = [value for value in field.values if field.one_hot and not is_number(value)]
        if _is_number(like[field.name]):
            if texts:
                raise ConfigurationError(f"{what} as text, e.g. {texts[0]!r}, {source} has numbers")
        elif not field.values:
            raise ConfigurationError(f"{what} as numbers, {source} has text")
        elif set(field.values).isdisjoint(like[field.name]):
            values = ", ".join(map(repr, field.values[:3]))
            raise ConfigurationError(f"{what} with the categories {values}, none of which is in {source}")


def _is_number(column: Any) -> bool:
    return bool(column.dtype.kind == "f")
