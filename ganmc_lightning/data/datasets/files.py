"""A user's own data in one file: an ``.npz``, or a table with a label column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.npz import TEST_FRACTION, read_splits, train_test_split
from ganmc_lightning.data.datasets.row_numbers import check_no_row_numbers
from ganmc_lightning.data.datasets.table_columns import Encoded, encode_category, encode_column, encode_labels
from ganmc_lightning.data.datasets.table_reader import pandas, read_table, unnamed
from ganmc_lightning.data.schema import Schema
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import list_arrays, to_row_tensor
from ganmc_lightning.io.weights import check_weights


class NpzFile(DatasetSource):
    """A user's own ``.npz`` file of images or rows.

    It holds ``train_images`` uint8 (N, H, W, C), ``train_labels``, ``test_images``, ``test_labels``; or
    ``X_train`` (N, D), ``y_train``, ``X_test``, ``y_test``; or ``X``, ``y``, of which a fifth is held out
    for testing. Arrays of strings ``class_names`` and ``feature_names`` may name the classes and the columns of rows;
    ``sample_weight_train`` or, beside ``X`` and ``y``, ``sample_weight`` (N,) may weigh the rows in training.

    Args:
        path: the file; a relative path starts at the working directory, not at the data root.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.name = self.path.stem

    def prepare(self, root: Path) -> None:
        """Check that the file is there and is an ``.npz`` file.

        Raises:
            ConfigurationError: it is not.
        """
        list_arrays(self.path)

    def load(self, root: Path) -> DatasetSplits:
        """Read and check the file.

        Raises:
            ConfigurationError: an array is missing or not of the right form.
        """
        return read_splits(self.path)


class TableFile(DatasetSource):
    """A user's own table, CSV (``.csv`` or ``.tsv``, with a header line) or parquet (``.parquet``); needs pandas.

    Numeric and true/false columns are used as they are. A category becomes one 0/1 column for each of its values:
    the columns listed in ``categorical_columns``, and unasked those of text with at most
    :data:`~ganmc_lightning.data.datasets.table_columns.MAX_CATEGORIES` different values. Labels of any type are
    numbered in sorted order. A seeded, stratified test set is held out.

    The cells of a CSV file may be separated by commas, semicolons, tabs or ``|``; it is UTF-8, or UTF-16 with a byte
    order mark. Blanks around names, texts and labels are stripped.

    Refused, with the name of the column: missing values (empty, ``?``, ``NA`` and the like), for no guess serves every
    table; numbers written as text (``1,234``, ``5 %``, ``$3``); columns that number the rows; a column that repeats the
    label; a continuous target; and classes that differ only in case or blanks.

    Args:
        path: the file; a relative path starts at the working directory, not at the data root.
        label_column: the column with the class.
        categorical_columns: columns to be one-hot encoded, whatever their type and number of values.
        drop_columns: columns to leave out, such as row numbers and free text.
        weight_column: column of the weights of the rows in training, numbers of at least 0; no feature. Scores on
            validation and test rows count every row once.
        test_fraction: share of the rows held out for testing.
    """

    def __init__(
        self,
        path: str | Path,
        label_column: str,
        categorical_columns: Sequence[str] = (),
        drop_columns: Sequence[str] = (),
        weight_column: str | None = None,
        test_fraction: float = TEST_FRACTION,
    ) -> None:
        self.path = Path(path).expanduser()
        self.name = self.path.stem
        self.label_column = label_column.strip()
        self.categorical_columns = tuple(name.strip() for name in categorical_columns)
        self.drop_columns = tuple(name.strip() for name in drop_columns)
        self.weight_column = None if weight_column is None else weight_column.strip()
        self.test_fraction = test_fraction
        if not 0 < test_fraction < 1:
            raise ConfigurationError(f"test_fraction: {test_fraction} is not between 0 and 1")

    def prepare(self, root: Path) -> None:
        """Check that the file is there.

        Raises:
            ConfigurationError: it is not, or pandas is not installed.
        """
        pandas()
        if not self.path.is_file():
            raise ConfigurationError(f"{self.path}: no such file: check the name and the folder")

    def load(self, root: Path) -> DatasetSplits:
        """Read the table and hold out the test rows.

        Raises:
            ConfigurationError: the file cannot be read, a named column does not exist, or a column is refused (see
                above).
        """
        self.prepare(root)
        table = read_table(self.path, (self.label_column, *self.categorical_columns))
        self._check_names(table)
        labels, classes = encode_labels(table[self.label_column], self._where(self.label_column))
        encoded = self._features(table)
        rows = to_row_tensor(np.concatenate([column.numbers for column in encoded], axis=1), str(self.path))
        train, test = train_test_split(
            TensorDataset(rows, torch.from_numpy(labels), self._weights(table, labels)),
            self.test_fraction,
            SPLIT_SEED,
            f"{self.path}: {self.label_column}",
        )
        schema = Schema(tuple(column.field for column in encoded), self.label_column, classes)
        return DatasetSplits(train, test, len(classes), classes, schema.categories, schema)

    def _where(self, name: str) -> str:
        return f"{self.path}: column {name!r}"

    @property
    def _no_features(self) -> tuple[str, ...]:
        weight = () if self.weight_column is None else (self.weight_column,)
        return (self.label_column, *weight, *self.drop_columns)

    def _check_names(self, table: Any) -> None:
        weight = () if self.weight_column is None else (self.weight_column,)
        for key, names in (
            ("label_column", (self.label_column,)),
            ("weight_column", weight),
            ("categorical_columns", self.categorical_columns),
            ("drop_columns", self.drop_columns),
        ):
            for name in names:
                if name not in table.columns:
                    held = ", ".join(map(str, table.columns))
                    raise ConfigurationError(f"{key}: {self.path} has no column {name!r}; it has {held}")
        if self.label_column in (*weight, *self.categorical_columns, *self.drop_columns):
            raise ConfigurationError(
                f"label_column: {self.label_column!r} is also listed as a feature, as weight or as dropped"
            )
        if set(weight) & {*self.categorical_columns, *self.drop_columns}:
            raise ConfigurationError(f"weight_column: {self.weight_column!r} is also listed as a feature or as dropped")
        for place, name in enumerate(table.columns):
            if name == unnamed(place) and name not in self._no_features:
                raise ConfigurationError(
                    f"{self._where(name)} has no name in the header, as the row numbers that pandas writes: list it in "
                    "drop_columns, or name it"
                )

    def _features(self, table: Any) -> list[Encoded]:
        """Encode the columns besides the label, the weight and the dropped ones."""
        encoded = []
        label = table[self.label_column].astype(str).str.strip()
        for name in table.columns:
            if name in self._no_features:
                continue
            if (table[name].astype(str).str.strip() == label).all():
                raise ConfigurationError(f"{self._where(name)} repeats the label: list it in drop_columns")
            encode = encode_category if name in self.categorical_columns else encode_column
            encoded.append(encode(table[name], self._where(name)))
        if not encoded:
            raise ConfigurationError(f"{self.path}: has no column besides the label and the dropped ones: add features")
        for column in encoded:
            if not column.field.values:
                fix = "list it in drop_columns, or rename it if it is a measurement"
                check_no_row_numbers(column.numbers, [column.field.name], str(self.path), fix)
        return encoded

    def _weights(self, table: Any, labels: NDArray[np.int64]) -> torch.Tensor | None:
        if self.weight_column is None:
            return None
        where = f"weight_column: {self._where(self.weight_column)}"
        column = encode_column(table[self.weight_column], where)
        if column.field.values:
            raise ConfigurationError(f"{where} holds no numbers: name the column with the weights of the rows")
        return torch.from_numpy(check_weights(column.numbers[:, 0], labels, where))
