"""The columns of a table as numbers, categories and classes; whatever is none of these for certain is refused."""

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
"""Most different texts of a column that is taken for a category unasked, and most values of a label that is a measured
whole number."""

MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "<na>", "nan", "null"})
"""Texts, in any case, that mean a missing value; in a column of numbers also :data:`MISSING_NUMBERS`."""
MISSING_NUMBERS = MISSING | {"none", "-", "--", "."}

_AROUND_NUMBERS = re.compile(r"[\s%‰€$£¥₹'\u2019_()<>≤≥~=+]|USD|EUR|GBP|CHF|JPY|INR")
_NUMBER = re.compile(r"-?[\d.,]*\d[\d.,]*(e[+-]?\d+)?", re.IGNORECASE)


class Encoded(NamedTuple):
    """A feature column as numbers.

    Attributes:
        numbers: float64 (N, width).
        field: what they stand for.
    """

    numbers: NDArray[np.float64]
    field: Field


def encode_column(column: Any, where: str) -> Encoded:
    """Encode a column that is not known to be a category.

    Numbers and true/false stay one column; text of at most :data:`MAX_CATEGORIES` values becomes a one-hot block.

    Args:
        column: pandas series.
        where: what to call it in a message, ``file: column 'name'``.

    Raises:
        ConfigurationError: missing or infinite values, numbers written as text, too many different texts, or another
            type.
    """
    api = pandas().api.types
    if api.is_bool_dtype(column):
        return _encode_bool(_numbers(column, where), str(column.name))
    if api.is_numeric_dtype(column):
        return Encoded(_numbers(column, where), Field(str(column.name)))
    if not _is_text(column):
        raise ConfigurationError(
            f"{where} is not numeric ({column.dtype}, {column.nunique()} different values): convert it to numbers, or "
            "list it in categorical_columns or in drop_columns"
        )
    return _encode_text(_stripped(column), where)


def encode_category(column: Any, where: str) -> Encoded:
    """Encode a column as a one-hot block of its different values, whatever their type.

    Raises:
        ConfigurationError: missing values, or two values that are one number (``1`` and ``1.0``).
    """
    column = _stripped(column) if _is_text(column) else column
    _check_present(column, frozenset({""}), where)
    codes, values = _numbered(column, where)
    return Encoded(np.asarray(np.eye(len(values))[codes]), Field(str(column.name), values, one_hot=True))


def encode_labels(column: Any, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the classes of a label column in sorted order, numbers by their value.

    Returns:
        Labels, int64 (N,), and the names of the classes.

    Raises:
        ConfigurationError: missing values, a continuous target, names of classes that differ only in case or blanks, or
            half of the classes or more with a single row. Fewer of them give a warning.
    """
    column = _stripped(column) if _is_text(column) else column
    _check_present(column, MISSING, where)
    _check_classes([str(value) for value in column.unique()], len(column), where)
    codes, names = _numbered(column, where)
    single = [repr(names[code]) for code in np.flatnonzero(np.bincount(codes) == 1)]
    if 2 * len(single) >= len(names):
        raise ConfigurationError(
            f"{where} has {len(names)} classes, and {len(single)} of them have 1 row, such as {single[0]}; expected 2 "
            "rows or more of each, one for training and one for testing; name another label_column"
        )
    if single:
        warnings.warn(f"{where}: classes with 1 row, used for training only: {', '.join(single)}", stacklevel=2)
    return codes, names


def _encode_text(column: Any, where: str) -> Encoded:
    lowered = column.str.casefold()
    present = column[~(column.isna() | lowered.isin(MISSING_NUMBERS))]
    different = present.unique()
    if len(different) and set(lowered[present.index].unique()) <= {"true", "false"}:
        _check_present(column, MISSING_NUMBERS, where)
        return _encode_bool((lowered == "true").to_numpy(dtype=np.float64)[:, None], str(column.name))
    numeric = [value for value in different if _is_number(value)]
    if len(different) and len(numeric) == len(different):
        _check_present(column, MISSING_NUMBERS, where)
        return Encoded(_numbers(pandas().to_numeric(column), where), Field(str(column.name)))
    like = [value for value in different if _is_number_like(value)]
    if 2 * len(like) > len(different):
        example = next(value for value in different if value not in numeric)
        raise ConfigurationError(
            f"{where} holds numbers written as text, such as {example!r}: rewrite them as plain numbers (1234.5), or "
            "list it in categorical_columns or in drop_columns"
        )
    _check_present(column, MISSING, where)
    if len(different) > MAX_CATEGORIES:
        raise ConfigurationError(
            f"{where} is not numeric (text, {len(different)} different values): list it in categorical_columns or in "
            "drop_columns"
        )
    return encode_category(column, where)


def _encode_bool(numbers: NDArray[np.float64], name: str) -> Encoded:
    return Encoded(numbers, Field(name, ("False", "True")))


def _numbers(column: Any, where: str) -> NDArray[np.float64]:
    _check_present(column, frozenset(), where)
    numbers: NDArray[np.float64] = column.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ConfigurationError(f"{where} has infinite values: replace them")
    if pandas().api.types.is_integer_dtype(column) and (rounded := rounded_integers(column.to_numpy())).any():
        raise ConfigurationError(
            f"{where} holds {column[rounded].iloc[0]}, which float64 rounds: subtract the least value from the column, "
            "or list it in drop_columns"
        )
    return numbers[:, None]


def _numbered(column: Any, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Codes in sorted order, and the texts of the values."""
    codes, values = pandas().factorize(column, sort=True)
    names = [str(value) for value in values]
    if _is_text(column) and all(map(_is_number, names)):
        numbers = np.array([float(name) for name in names])
        order = numbers.argsort(kind="stable")
        twins = np.flatnonzero(np.diff(numbers[order]) == 0)
        if len(twins):
            one, other = (names[order[twins[0] + k]] for k in (0, 1))
            raise ConfigurationError(
                f"{where} has the values {one!r} and {other!r}, which are one number: write them alike"
            )
        codes, names = order.argsort()[codes], [names[k] for k in order]
    return codes.astype(np.int64), tuple(names)


def _check_classes(names: Sequence[str], rows: int, where: str) -> None:
    """Refuse numbers that measure something, and names that are probably one class."""
    if all(map(_is_number, names)):
        numbers = np.array([float(name) for name in names])
        consecutive = numbers.min() in (0, 1) and len(numbers) == np.ptp(numbers) + 1
        if (numbers != np.round(numbers)).any() or (len(names) > MAX_CATEGORIES and not consecutive):
            raise ConfigurationError(
                f"{where} is a continuous target ({len(names)} different numbers in {rows} rows, such as "
                f"{names[len(names) // 2]}), and classes are needed: sort it into classes (pandas.cut does), or number "
                "them from 0"
            )
    known: dict[str, str] = {}
    for name in names:
        plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if plain in known:
            raise ConfigurationError(
                f"{where} has the classes {known[plain]!r} and {name!r}: write them alike, or rename one"
            )
        known[plain] = name


def _check_present(column: Any, missing: frozenset[str], where: str) -> None:
    lacking = column.isna()
    if _is_text(column):
        lacking |= column.str.casefold().isin(missing)
    if lacking.any():
        first = column[lacking].iloc[0]
        written = f", written {first!r}" if isinstance(first, str) and first else ""
        raise ConfigurationError(
            f"{where} lacks {int(lacking.sum())} values{written}: fill them in, leave those rows out, or list it in "
            "drop_columns"
        )


def _is_text(column: Any) -> bool:
    kind = pandas().api.types
    if kind.is_numeric_dtype(column) or not (kind.is_object_dtype(column) or kind.is_string_dtype(column)):
        return False
    return all(isinstance(value, str) for value in column.dropna().unique())


def _stripped(column: Any) -> Any:
    return column.astype(object).str.strip()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _is_number_like(text: str) -> bool:
    return _is_number(text) or _NUMBER.fullmatch(_AROUND_NUMBERS.sub("", text)) is not None
