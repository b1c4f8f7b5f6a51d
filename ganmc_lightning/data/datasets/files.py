"""Data sets in one of the user's files: an ``.npz`` file, or a table with a label column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.duplicates import warn_of_duplicates
from ganmc_lightning.data.datasets.npz import TEST_FRACTION, read_splits
from ganmc_lightning.data.datasets.row_numbers import check_no_row_numbers
from ganmc_lightning.data.datasets.table_columns import Encoded, encode_category, encode_column, encode_labels
from ganmc_lightning.data.datasets.table_reader import pandas, read_table, unnamed
from ganmc_lightning.data.schema import TableSchema
from ganmc_lightning.data.splits import train_test_split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import list_arrays, to_row_tensor
from ganmc_lightning.io.weights import check_weights


class NpzFile(DatasetSource):
    """A ``.npz`` file of images or rows.

    It contains ``train_images`` uint8 (N, H, W, C), ``train_labels``, ``test_images``, ``test_labels``; or ``X_train``
    (N, D), ``y_train``, ``X_test``, ``y_test``; or ``X``, ``y``, a fifth of which become test rows. Optional arrays are
    ``class_names``; for images the validation samples ``val_images``, ``val_labels``; for rows ``feature_names`` and
    the weights in training, ``sample_weight_train`` (with ``X`` and ``y``: ``sample_weight``).

    Args:
        path: path of the file, relative to the working directory, not to the data root.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.npz"
        >>> np.savez(path, X=np.random.default_rng(0).normal(size=(10, 3)), y=[0, 1] * 5)
        >>> splits = NpzFile(path).load(Path())
        >>> len(splits.train), len(splits.test), splits.train.sample_shape
        (8, 2, (3,))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.name = self.path.stem

    def prepare(self, root: Path) -> None:
        """Check that the file exists and is a ``.npz`` file.

        Raises:
            ConfigurationError: the file does not exist, or is not a ``.npz`` file.
        """
        list_arrays(self.path)

    def load(self, root: Path) -> DatasetSplits:
        """Read and validate the file; a warning counts test images that are also training or validation images.

        Raises:
            ConfigurationError: an array is missing or invalid.
        """
        splits = read_splits(self.path)
        if len(splits.train.sample_shape) == 3:
            others = [splits.train] if splits.validation is None else [splits.train, splits.validation]
            warn_of_duplicates(others, splits.test, str(self.path))
        return splits


class TableFile(DatasetSource):
    r"""A CSV (``.csv`` or ``.tsv``, with a header) or parquet (``.parquet``) table with a label column (pandas).

    Numeric and boolean columns are used unchanged. Categorical columns are one-hot encoded: those in
    ``categorical_columns``, and text columns of at most
    :data:`~ganmc_lightning.data.datasets.table_columns.MAX_CATEGORIES` distinct values. Labels of any type are numbered
    in sorted order. A stratified test split is drawn with a fixed seed.

    CSV cells are separated by commas, semicolons, tabs or ``|``; the encoding is UTF-8, or UTF-16 with a byte order
    mark. Whitespace around names, texts and labels is stripped.

    These raise an error that names the column: missing values (empty, ``?``, ``NA``, ...), which are not imputed;
    numbers written as text (``1,234``, ``5 %``, ``$3``); row numbers; a copy of the label; a continuous target; classes
    that differ only in case or whitespace.

    Args:
        path: path of the file, relative to the working directory, not to the data root.
        label_column: name of the label column.
        categorical_columns: columns to one-hot encode, of any type and number of values.
        drop_columns: columns to ignore, e.g. row numbers and free text.
        weight_column: column of sample weights >= 0 in training, not a feature (default: none). Validation and test
            metrics are unweighted.
        test_fraction: share of the test rows, in (0, 1) (default: 0.2).

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.csv"
        >>> _ = path.write_text("size,color,sold\n" + "1.5,red,yes\n2.5,blue,no\n" * 10)
        >>> splits = TableFile(path, label_column="sold").load(Path())
        >>> splits.schema.names, splits.class_names, len(splits.test)
        (('size', 'color=blue', 'color=red'), ('no', 'yes'), 4)
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
            raise ConfigurationError(f"test_fraction: got {test_fraction}, expected a value in (0, 1)")

    def prepare(self, root: Path) -> None:
        """Check that the file exists.

        Raises:
            ConfigurationError: the file does not exist, or pandas is not installed.
        """
        pandas()
        if not self.path.is_file():
            raise ConfigurationError(f"{self.path}: file not found")

    def load(self, root: Path) -> DatasetSplits:
        """Read the table and draw the test split.

        Raises:
            ConfigurationError: the file is invalid, a column does not exist, or its values are invalid.
        """
        self.prepare(root)
        table = read_table(self.path, (self.label_column, *self.categorical_columns))
        self._check_names(table)
        labels, classes = encode_labels(table[self.label_column], self._key(self.label_column))
        encoded = self._features(table)
        rows = to_row_tensor(np.concatenate([column.numbers for column in encoded], axis=1), str(self.path))
        train, test = train_test_split(
            TensorDataset(rows, torch.from_numpy(labels), self._weights(table, labels)),
            self.test_fraction,
            f"{self.path}: {self.label_column}",
        )
        schema = TableSchema(tuple(column.field for column in encoded), self.label_column, classes)
        return DatasetSplits(train, test, len(classes), classes, schema.one_hot_blocks, schema)

    def _key(self, name: str) -> str:
        return f"{self.path}: column {name!r}"

    @property
    def _excluded(self) -> tuple[str, ...]:
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
                    columns = ", ".join(map(str, table.columns))
                    raise ConfigurationError(f"{key}: {self.path}: got {name!r}, expected one of {columns}")
        if self.label_column in (*weight, *self.categorical_columns, *self.drop_columns):
            raise ConfigurationError(
                f"label_column: {self.label_column!r} is also a categorical, weight or dropped column"
            )
        if set(weight) & {*self.categorical_columns, *self.drop_columns}:
            raise ConfigurationError(f"weight_column: {self.weight_column!r} is also a categorical or dropped column")
        for place, name in enumerate(table.columns):
            if name == unnamed(place) and name not in self._excluded:
                raise ConfigurationError(
                    f"{self._key(name)} has no name in the header, like the row numbers that pandas writes; add it to "
                    "drop_columns, or name it"
                )

    def _features(self, table: Any) -> list[Encoded]:
        """Encode all columns except the label, the weight and the dropped ones."""
        encoded = []
        label = table[self.label_column].astype(str).str.strip()
        for name in table.columns:
            if name in self._excluded:
                continue
            if (table[name].astype(str).str.strip() == label).all():
                raise ConfigurationError(f"{self._key(name)} is a copy of the label; add it to drop_columns")
            encode = encode_category if name in self.categorical_columns else encode_column
            encoded.append(encode(table[name], self._key(name)))
        if not encoded:
            raise ConfigurationError(f"{self.path}: got no feature columns, expected at least one")
        for column in encoded:
            if not column.field.values:
                fix = "add it to drop_columns, or rename it if it is a measurement"
                check_no_row_numbers(column.numbers, [column.field.name], str(self.path), fix)
        return encoded

    def _weights(self, table: Any, labels: NDArray[np.int64]) -> torch.Tensor | None:
        if self.weight_column is None:
            return None
        key = f"weight_column: {self._key(self.weight_column)}"
        column = encode_column(table[self.weight_column], key)
        if column.field.values:
            raise ConfigurationError(f"{key}: got text, expected numbers")
        return torch.from_numpy(check_weights(column.numbers[:, 0], labels, key))
