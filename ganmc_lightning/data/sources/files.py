"""A user's own data in one file: an ``.npz``, or a table with a label column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.data.sources.base import ArrayDataset, Source, Splits
from ganmc_lightning.data.sources.npz import TEST_FRACTION, hold_out, read_splits
from ganmc_lightning.errors import InputError
from ganmc_lightning.files.arrays import list_arrays, row_tensor


class NpzFile(Source):
    """A user's own ``.npz`` file of images or rows.

    It holds ``train_images`` uint8 (N, H, W, C), ``train_labels``, ``test_images``, ``test_labels``; or
    ``X_train`` (N, D), ``y_train``, ``X_test``, ``y_test``; or ``X``, ``y``, of which a fifth is held out
    for testing. An array of strings ``class_names`` may name the classes.

    Args:
        path: the file; a relative path starts at the working directory, not at the data root.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.name = self.path.stem

    def prepare(self, root: Path) -> None:
        """Check that the file is there and is an ``.npz`` file.

        Raises:
            InputError: it is not.
        """
        list_arrays(self.path)

    def load(self, root: Path) -> Splits:
        """Read and check the file.

        Raises:
            InputError: an array is missing or not of the right form.
        """
        return read_splits(self.path)


MAX_CATEGORIES = 20
"""Most different texts of a column that is taken for a category unasked."""


class TableFile(Source):
    """A user's own table, CSV (``.csv``, with a header line) or parquet (``.parquet``); needs pandas.

    Numeric and true/false columns are used as they are. A category becomes one 0/1 column for each of its values:
    the columns listed in ``categorical_columns``, and unasked those of text with at most :data:`MAX_CATEGORIES`
    different values. Missing values are refused, for no guess serves every table. Labels of any type are
    numbered in sorted order. A seeded, stratified test part is held out.

    Args:
        path: the file; a relative path starts at the working directory, not at the data root.
        label_column: the column with the class.
        categorical_columns: columns to be one-hot encoded, whatever their type and number of values.
        drop_columns: columns to leave out, such as row numbers and free text.
        test_fraction: share of the rows held out for testing.
    """

    def __init__(
        self,
        path: str | Path,
        label_column: str,
        categorical_columns: Sequence[str] = (),
        drop_columns: Sequence[str] = (),
        test_fraction: float = TEST_FRACTION,
    ) -> None:
        self.path = Path(path).expanduser()
        self.name = self.path.stem
        self.label_column = label_column
        self.categorical_columns = tuple(categorical_columns)
        self.drop_columns = tuple(drop_columns)
        self.test_fraction = test_fraction
        if not 0 < test_fraction < 1:
            raise InputError(f"test_fraction: {test_fraction} is not between 0 and 1")

    def prepare(self, root: Path) -> None:
        """Check that the file is there.

        Raises:
            InputError: it is not, or pandas is not installed.
        """
        _pandas()
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file: check the name and the folder")

    def load(self, root: Path) -> Splits:
        """Read the table and cut the test part.

        Raises:
            InputError: the file cannot be read, a named column does not exist, a column has missing values
                or is neither numeric nor a category, or a class has a single row.
        """
        self.prepare(root)
        table = _read_table(self.path)
        self._check_columns(table)
        labels, class_names = self._labels(table[self.label_column])
        parts, categories = self._features(table)
        if not parts:
            raise InputError(f"{self.path}: has no column besides the label and the dropped ones: add features")
        rows = row_tensor(np.concatenate(parts, axis=1), str(self.path))
        train, test = hold_out(
            ArrayDataset(rows, torch.from_numpy(labels)),
            self.test_fraction,
            SPLIT_SEED,
            f"{self.path}: {self.label_column}",
        )
        return Splits(train, test, len(class_names), class_names, categories)

    def _check_columns(self, table: Any) -> None:
        for key, names in (
            ("label_column", (self.label_column,)),
            ("categorical_columns", self.categorical_columns),
            ("drop_columns", self.drop_columns),
        ):
            for name in names:
                if name not in table.columns:
                    held = ", ".join(map(str, table.columns))
                    raise InputError(f"{key}: {self.path} has no column {name!r}; it has {held}")
        if self.label_column in (*self.categorical_columns, *self.drop_columns):
            raise InputError(f"label_column: {self.label_column!r} is also listed as a feature or as dropped")
        for name in table.columns:
            missing = int(table[name].isna().sum())
            if missing and name not in self.drop_columns:
                raise InputError(
                    f"{self.path}: column {name!r} lacks {missing} values: fill them in, leave those "
                    "rows out, or list it in drop_columns"
                )

    def _labels(self, column: Any) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        codes, classes = _pandas().factorize(column, sort=True)
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise InputError(
                f"{self.path}: {self.label_column!r} has {len(classes)} classes, and "
                f"{str(classes[counts.argmin()])!r} occurs only once: a class needs two rows, one of "
                "them for training (is it a class at all?)"
            )
        return codes.astype(np.int64), tuple(str(name) for name in classes)

    def _features(self, table: Any) -> tuple[list[NDArray[np.float64]], tuple[tuple[int, int], ...]]:
        """Return the columns as numbers, and where the categories stand among these."""
        parts, categories, width = [], [], 0
        for name in table.columns:
            if name in (self.label_column, *self.drop_columns):
                continue
            categorical = self._is_categorical(table[name], name)
            part = self._one_hot(table[name]) if categorical else self._numbers(table[name], name)
            if categorical:
                categories.append((width, width + part.shape[1]))
            parts.append(part)
            width += part.shape[1]
        return parts, tuple(categories)

    def _is_categorical(self, column: Any, name: str) -> bool:
        if name in self.categorical_columns:
            return True
        if _pandas().api.types.is_numeric_dtype(column):
            return False
        values = column.nunique()
        if values > MAX_CATEGORIES or not column.map(lambda value: isinstance(value, str)).all():
            raise InputError(
                f"{self.path}: column {name!r} is not numeric ({column.dtype}, {values} different values): list it in "
                "categorical_columns or in drop_columns"
            )
        return True

    @staticmethod
    def _one_hot(column: Any) -> NDArray[np.float64]:
        codes, values = _pandas().factorize(column, sort=True)
        return np.asarray(np.eye(len(values))[codes])

    def _numbers(self, column: Any, name: str) -> NDArray[np.float64]:
        numbers: NDArray[np.float64] = column.to_numpy(dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise InputError(f"{self.path}: column {name!r} has infinite values: replace them")
        return numbers[:, None]


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InputError('tables need pandas, which is not installed: pip install "ganmc-lightning[table]"') from error
    return pandas


def _read_table(path: Path) -> Any:
    pandas = _pandas()
    try:
        if path.suffix == ".csv":
            # Read at once: in pieces, pandas may give one column two types.
            table = pandas.read_csv(path, low_memory=False)
        elif path.suffix == ".parquet":
            table = pandas.read_parquet(path)
        else:
            raise InputError(f"{path}: is neither a .csv nor a .parquet file: convert it or rename it")
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f'{path}: parquet needs pyarrow: pip install "ganmc-lightning[table]"') from error
    except (OSError, ValueError) as error:  # pandas' and pyarrow's own errors are kinds of these
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table ({reason}): mend or replace it") from error
    if len(table) == 0:
        raise InputError(f"{path}: has no rows: add some")
    return table
