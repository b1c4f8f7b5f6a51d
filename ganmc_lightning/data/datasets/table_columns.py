"""Encode table columns as numbers, categories and classes; ambiguous values raise an error."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.table_reader import pandas
from ganmc_lightning.data.schema import Field
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import rounded_integers

MAX_CATEGORIES = 20
"""Maximum number of distinct texts of an automatically detected categorical column, and of integer classes that are not
consecutive."""

MISSING_TEXTS = frozenset({"", "?", "na", "n/a", "#n/a", "<na>", "nan", "null"})
"""Case-insensitive texts of missing values; in numeric columns also :data:`MISSING_NUMBERS`."""
MISSING_NUMBERS = MISSING_TEXTS | {"none", "-", "--", "."}

_AROUND_NUMBERS = re.compile(r"[\s%‰€$£¥₹'\u2019_()<>≤≥~=+]|USD|EUR|GBP|CHF|JPY|INR")
_NUMBER = re.compile(r"-?[\d.,]*\d[\d.,]*(e[+-]?\d+)?", re.IGNORECASE)


class Encoded(NamedTuple):
    """A feature column as numbers.

    Attributes:
        numbers: float64 (N, width).
        field: name and categories of the column.
    """

    numbers: NDArray[np.float64]
    field: Field


def encode_column(column: Any, name: str) -> Encoded:
    """Encode a feature column by its type.

    Numbers and booleans remain one column; text of at most :data:`MAX_CATEGORIES` values becomes a one-hot block.

    Args:
        column: pandas series.
        name: file and column, for error messages.

    Raises:
        ConfigurationError: missing or infinite values, numbers written as text, too many distinct texts, or an
            unsupported type.

    Example:
        >>> encode_column(pandas().Series(["b", "a", "b"], name="color"), "demo").numbers.tolist()
        [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    api = pandas().api.types
    if api.is_bool_dtype(column):
        return _encode_bool(_numbers(column, name), str(column.name))
    if api.is_numeric_dtype(column):
        return Encoded(_numbers(column, name), Field(str(column.name)))
    if not is_text_column(column):
        raise ConfigurationError(
            f"{name}: got {column.dtype} with {column.nunique()} distinct values, expected numbers; convert it, or add "
            "it to categorical_columns or drop_columns"
        )
    return _encode_text(_stripped(column), name)


def encode_category(column: Any, name: str) -> Encoded:
    """Encode a column of any type as a one-hot block of its distinct values.

    Raises:
        ConfigurationError: missing values, or two spellings of one number (``1`` and ``1.0``).
    """
    column = _stripped(column) if is_text_column(column) else column
    _check_present(column, frozenset({""}), name)
    codes, values = _numbered(column, name)
    return Encoded(np.asarray(np.eye(len(values))[codes]), Field(str(column.name), values, one_hot=True))


def encode_labels(column: Any, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Encode a label column: number the classes in sorted order, numeric classes by value.

    Returns:
        Labels, int64 (N,), and the names of the classes.

    Raises:
        ConfigurationError: missing values, a continuous target, class names that differ only in case or whitespace, or
            only one row in at least half of the classes. Fewer classes with one row issue a warning.
    """
    column = _stripped(column) if is_text_column(column) else column
    _check_present(column, MISSING_TEXTS, name)
    _check_classes([str(value) for value in column.unique()], len(column), name)
    codes, names = _numbered(column, name)
    single = [repr(names[code]) for code in np.flatnonzero(np.bincount(codes) == 1)]
    if 2 * len(single) >= len(names):
        raise ConfigurationError(
            f"{name}: got {len(names)} classes, {len(single)} of them with 1 row, e.g. {single[0]}, expected at least "
            "2 rows per class (one for training, one for testing); choose another label_column"
        )
    if single:
        warnings.warn(f"{name}: classes with 1 row, used only for training: {', '.join(single)}", stacklevel=2)
    return codes, names


def _encode_text(column: Any, name: str) -> Encoded:
    lowered = column.str.casefold()
    present = column[~(column.isna() | lowered.isin(MISSING_NUMBERS))]
    distinct = present.unique()
    if len(distinct) and set(lowered[present.index].unique()) <= {"true", "false"}:
        _check_present(column, MISSING_NUMBERS, name)
        return _encode_bool((lowered == "true").to_numpy(dtype=np.float64)[:, None], str(column.name))
    numeric = [value for value in distinct if is_number(value)]
    if len(distinct) and len(numeric) == len(distinct):
        _check_present(column, MISSING_NUMBERS, name)
        return Encoded(_numbers(pandas().to_numeric(column), name), Field(str(column.name)))
    like = [value for value in distinct if is_number_like(value)]
    if 2 * len(like) > len(distinct):
        example = next(value for value in distinct if value not in numeric)
        raise ConfigurationError(
            f"{name}: got numbers written as text, e.g. {example!r}, expected plain numbers (1234.5); rewrite them, or "
            "add the column to categorical_columns or drop_columns"
        )
    _check_present(column, MISSING_TEXTS, name)
    if len(distinct) > MAX_CATEGORIES:
        raise ConfigurationError(
            f"{name}: got text with {len(distinct)} distinct values, expected numbers or at most {MAX_CATEGORIES} "
            "categories; add it to categorical_columns or drop_columns"
        )
    return encode_category(column, name)


def _encode_bool(numbers: NDArray[np.float64], name: str) -> Encoded:
    return Encoded(numbers, Field(name, ("False", "True")))


def _numbers(column: Any, name: str) -> NDArray[np.float64]:
    _check_present(column, frozenset(), name)
    numbers: NDArray[np.float64] = column.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ConfigurationError(f"{name}: got infinite values, expected finite values")
    if pandas().api.types.is_integer_dtype(column) and (rounded := rounded_integers(column.to_numpy())).any():
        raise ConfigurationError(
            f"{name}: got {column[rounded].iloc[0]}, which float64 rounds; subtract the smallest value of the column, "
            "or add it to drop_columns"
        )
    return numbers[:, None]


def _numbered(column: Any, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return integer codes in sorted order, and the texts of the values."""
    codes, values = pandas().factorize(column, sort=True)
    names = [str(value) for value in values]
    if is_text_column(column) and all(map(is_number, names)):
        numbers = np.array([float(name) for name in names])
        order = numbers.argsort(kind="stable")
        twins = np.flatnonzero(np.diff(numbers[order]) == 0)
        if len(twins):
            one, other = (names[order[twins[0] + k]] for k in (0, 1))
            raise ConfigurationError(
                f"{name}: got {one!r} and {other!r}, two spellings of one number, expected one spelling"
            )
        codes, names = order.argsort()[codes], [names[k] for k in order]
    return codes.astype(np.int64), tuple(names)


def _check_classes(names: Sequence[str], rows: int, name: str) -> None:
    """Reject continuous targets, and different names that probably mean one class."""
    if all(map(is_number, names)):
        numbers = np.array([float(name) for name in names])
        consecutive = numbers.min() in (0, 1) and len(numbers) == np.ptp(numbers) + 1
        if (numbers != np.round(numbers)).any() or (len(names) > MAX_CATEGORIES and not consecutive):
            raise ConfigurationError(
                f"{name}: got a continuous target ({len(names)} distinct numbers in {rows} rows, e.g. "
                f"{names[len(names) // 2]}), expected classes; bin it (e.g. with pandas.cut), or number them from 0"
            )
    seen: dict[str, str] = {}
    for class_name in names:
        plain = " ".join(unicodedata.normalize("NFKC", class_name).casefold().split())
        if plain in seen:
            raise ConfigurationError(
                f"{name}: got the classes {seen[plain]!r} and {class_name!r}, expected one spelling, or distinct names"
            )
        seen[plain] = class_name


def _check_present(column: Any, missing: frozenset[str], name: str) -> None:
    missing_cells = column.isna()
    if is_text_column(column):
        missing_cells |= column.str.casefold().isin(missing)
    if missing_cells.any():
        first = column[missing_cells].iloc[0]
        written = f", written {first!r}" if isinstance(first, str) and first else ""
        raise ConfigurationError(
            f"{name}: got {int(missing_cells.sum())} missing values{written}, expected none; fill them in, remove the "
            "rows, or add the column to drop_columns"
        )


def is_text_column(column: Any) -> bool:
    """Return whether every value of a column that is present is text."""
    kind = pandas().api.types
    if kind.is_numeric_dtype(column) or not (kind.is_object_dtype(column) or kind.is_string_dtype(column)):
        return False
    return all(isinstance(value, str) for value in column.dropna().unique())


def _stripped(column: Any) -> Any:
    return column.astype(object).str.strip()


def is_number(text: str) -> bool:
    """Return whether a text is a plain number, such as ``-1.5e3``."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def is_number_like(text: str) -> bool:
    """Return whether a text is a number with a unit, separators of thousands or a decimal comma, or a plain one."""
    return is_number(text) or _NUMBER.fullmatch(_AROUND_NUMBERS.sub("", text)) is not None
