"""Read a table with a target column as a data frame: numbers, texts as categories, missing values as NaN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganmc_lightning.data.datasets.row_numbers import MIN_ROWS, check_no_row_numbers
from ganmc_lightning.data.datasets.table_columns import (
    MISSING_NUMBERS,
    MISSING_TEXTS,
    is_number,
    is_number_like,
    is_text_column,
)
from ganmc_lightning.data.datasets.table_reader import pandas, read_table, unnamed
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import suggestion

DROP_FIX = "drop it (--drop)"


class TargetTable(NamedTuple):
    """Features and target of a table.

    Attributes:
        X: data frame (N, D): float64 columns with NaN for missing values, also of booleans, and object columns of text.
        y: series (N,) without missing values.
        weight: series (N,) of sample weights, or None.
    """

    X: Any
    y: Any
    weight: Any


def read_target_table(
    path: Path, target: str, drop_columns: Sequence[str] = (), like: Any = None, weight: str | None = None
) -> TargetTable:
    r"""Read a table for a model that accepts missing values and categories.

    Args:
        path: ``.csv``, ``.tsv`` or ``.parquet`` file, see
            :func:`~ganmc_lightning.data.datasets.table_reader.read_table`.
        target: name of the target column.
        drop_columns: names of columns to ignore; they may be missing where ``like`` is given.
        like: features of another table, whose columns are selected in their order and converted to their types; None
            (default) returns all columns.
        weight: name of the column of sample weights, which is not a feature; None (default) for none.

    Raises:
        ConfigurationError: the file cannot be read; a column does not exist, contains numbers written as text, numbers
            the rows, has another text in every row or is a copy of the target; or the target has missing values.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.csv"
        >>> _ = path.write_text("size,color,sold\n1.5,red,yes\n,blue,no\n")
        >>> X, y, _ = read_target_table(path, "sold")
        >>> X["size"].tolist(), X["color"].tolist(), y.tolist()
        ([1.5, nan], ['red', 'blue'], ['yes', 'no'])
    """
    if not path.is_file():
        raise ConfigurationError(f"{path}: file not found")
    texts = [] if like is None else [name for name in like.columns if like[name].dtype.kind != "f"]
    table = read_table(path, texts)
    weights = () if weight is None else (weight,)
    drop = tuple(drop_columns) if like is None else ()  # the columns are selected by those of like
    for option, names in (("--target", (target,)), ("--weight", weights), ("--drop", drop)):
        for name in names:
            if name not in table.columns:
                raise ConfigurationError(f"{option}: {path} has no column {name!r}, {_suggest(name, table.columns)}")
    y = _column(table[target], f"{path}: column {target!r}")
    if y.isna().any():
        raise ConfigurationError(
            f"{path}: column {target!r}: got {int(y.isna().sum())} missing values, expected a target in every row"
        )
    if weight == target:
        raise ConfigurationError(f"--weight: got {weight!r}, expected another column than that of --target")
    features = [name for name in table.columns if name not in (target, *weights, *drop_columns)]
    if not features:
        raise ConfigurationError(f"{path}: got no feature columns, expected at least one")
    if like is not None:
        missing = [name for name in like.columns if name not in features]
        if missing:
            raise ConfigurationError(f"{path}: has no column {missing[0]!r}, expected the columns of the training rows")
        features = list(like.columns)
    columns = {name: _column(table[name], f"{path}: column {name!r}", name in texts) for name in features}
    columns |= {name: _booleans_to_numbers(columns[name]) for name in features if name not in texts}
    X = pandas().DataFrame(columns)
    if like is not None:
        _convert_numbers_of(like, X, path)
        return TargetTable(X, y, None)
    _check_features(X, y, table, path)
    return TargetTable(X, y, None if weight is None else _weights(table[weight], f"{path}: column {weight!r}"))


def _weights(column: Any, name: str) -> Any:
    weights = _column(column, name)
    if weights.dtype.kind != "f":
        raise ConfigurationError(f"{name}: got text, expected numbers, the sample weights")
    return weights


def _suggest(name: str, columns: Sequence[str]) -> str:
    same = [column for column in columns if column.casefold() == name.casefold()]
    return f"did you mean {same[0]!r}?" if same else suggestion(name, columns)


def _column(column: Any, name: str, as_text: bool = False) -> Any:
    """Convert a column to float64 with NaN, or to objects: text with NaN, also of numbers where asked."""
    api = pandas().api.types
    if api.infer_dtype(column, skipna=True) == "boolean":  # parquet booleans with missing values are objects
        column = column.astype("boolean")
    if api.is_numeric_dtype(column) or api.is_bool_dtype(column):
        if not as_text:
            return column.astype(np.float64)
        whole = column.convert_dtypes()  # 7.0 becomes 7
        return whole.astype("string").astype(object).where(column.notna(), np.nan)
    if not is_text_column(column):
        raise ConfigurationError(f"{name}: got {column.dtype}, expected numbers or text; {DROP_FIX}")
    text = column.astype(object).str.strip()
    lowered = text.str.casefold()
    if as_text:
        return text.where(~lowered.isin(MISSING_TEXTS), np.nan)
    present = text[~(text.isna() | lowered.isin(MISSING_NUMBERS))].unique()
    if len(present) and all(map(is_number, present)):
        return pandas().to_numeric(text.where(~lowered.isin(MISSING_NUMBERS), np.nan)).astype(np.float64)
    like_numbers = [value for value in present if is_number_like(value)]
    if 2 * len(like_numbers) > len(present):
        example = next(value for value in present if not is_number(value))
        raise ConfigurationError(
            f"{name}: got numbers written as text, e.g. {example!r}, expected plain numbers (1234.5); rewrite them or "
            "drop the column (--drop)"
        )
    return text.where(~lowered.isin(MISSING_TEXTS), np.nan)


def _booleans_to_numbers(column: Any) -> Any:
    """Convert text of true and false to 1 and 0, as pandas reads a CSV column without missing values; keep others."""
    if column.dtype.kind == "f":
        return column
    lowered = column.str.casefold()
    numbers = lowered.map({"true": 1.0, "false": 0.0})
    other = lowered.notna() & numbers.isna() & ~lowered.isin(MISSING_NUMBERS)
    return column if other.any() or numbers.isna().all() else numbers


def _check_features(X: Any, y: Any, table: Any, path: Path) -> None:
    for place, name in enumerate(table.columns):
        if name == unnamed(place) and name in X.columns:
            raise ConfigurationError(
                f"{path}: column {name!r} has no name in the header, like the row numbers that pandas writes; "
                f"{DROP_FIX}"
            )
    target = _booleans_to_numbers(y).astype(str)
    for name in X.columns:
        if (X[name].astype(str) == target).all():
            raise ConfigurationError(f"{path}: column {name!r} is a copy of the target; {DROP_FIX}")
        if X[name].dtype.kind == "f" and not X[name].isna().any():
            check_no_row_numbers(X[[name]].to_numpy(), [name], str(path), DROP_FIX)
        if X[name].dtype.kind == "O" and len(X) >= MIN_ROWS and X[name].nunique() == len(X):
            raise ConfigurationError(f"{path}: column {name!r} has another text in every row like an index; {DROP_FIX}")


def _convert_numbers_of(like: Any, X: Any, path: Path) -> None:
    """Make columns of missing values float where those of ``like`` are; refuse text in the others."""
    for name in X.columns:
        if like[name].dtype.kind != "f" or X[name].dtype.kind == "f":
            continue
        missing = X[name].isna() | X[name].str.casefold().isin(MISSING_NUMBERS)
        if not missing.all():
            example = next(value for value in X.loc[~missing, name] if not is_number(value))
            raise ConfigurationError(
                f"{path}: column {name!r}: got the text {example!r}, expected numbers as in the training rows"
            )
        X[name] = np.nan
