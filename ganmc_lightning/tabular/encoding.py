"""Encode the categorical columns of a table with scikit-learn's one-hot encoder, and decode encoded rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_array

from ganmc_lightning.exceptions import ConfigurationError

MAX_CATEGORIES = 32
"""Rarer categories of a column share one column."""


def categorical_columns(X: Any) -> list[Any]:
    """Return the names (data frame) or numbers (array) of the columns that contain strings or categories.

    Example:
        >>> categorical_columns(np.array([["red", 1.0], ["blue", 2.0]], dtype=object))
        [0]
    """
    if hasattr(X, "iloc"):
        return [name for name in X.columns if _is_categorical(X[name])]
    if isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 2:
        return [column for column in range(X.shape[1]) if any(isinstance(value, str) for value in X[:, column])]
    return []


def to_numpy_types(X: Any) -> Any:
    """Convert the columns of a data frame that may contain ``pandas.NA``, which NumPy does not know.

    Numbers and booleans become float64, others objects, both with NaN. Anything else is returned as is.

    Raises:
        ConfigurationError: two columns have the same name.

    Example:
        >>> from pandas import DataFrame, array
        >>> to_numpy_types(DataFrame({"count": array([1, None], dtype="Int64")}))["count"].tolist()
        [1.0, nan]
    """
    if not hasattr(X, "iloc"):
        return X
    from pandas import NA

    repeated = X.columns[X.columns.duplicated()]
    if len(repeated):
        raise ConfigurationError(f"X: got two columns {repeated[0]!r}, expected different names")
    converted = {
        name: X[name].to_numpy(np.float64 if X[name].dtype.kind in "fiub" else object, na_value=np.nan)
        for name in X.columns
        if getattr(X[name].dtype, "na_value", None) is NA
    }
    if not converted:
        return X
    X = X.copy(deep=False)
    for name, values in converted.items():
        X[name] = type(X[name])(values, index=X.index, dtype=values.dtype)
    return X


def fit_encoder(X: Any) -> ColumnTransformer | None:
    """Fit a one-hot encoder of the categorical columns; None for a table of numbers.

    The one-hot columns come first, the other columns follow unchanged. An unknown category is encoded as a rare
    category where the column has more than 32 categories, else as zeros. A missing value is a category.

    Args:
        X: data frame or object array (N, D).

    Raises:
        ConfigurationError: a column mixes strings and numbers, or the names of the columns are no text.

    Example:
        >>> encoder = fit_encoder(np.array([["red", 1.0], ["blue", 2.0]], dtype=object))
        >>> encoder.transform(np.array([["green", 3.0]], dtype=object)).tolist()
        [[0.0, 0.0, 3.0]]
    """
    columns = categorical_columns(X)
    if not columns:
        return None
    if hasattr(X, "iloc"):
        _check_column_names(X)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False, dtype=np.float64
    )
    encoder = ColumnTransformer(
        [("categories", one_hot, columns)],
        remainder="passthrough",
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )
    try:
        return encoder.fit(X)
    except TypeError as error:
        raise ConfigurationError(f"X: columns {columns}: got strings and numbers in one column ({error})") from error


def encode_rows(encoder: ColumnTransformer, X: Any) -> NDArray[np.float64]:
    """Encode rows of the table as float64 (N, E); NaN in columns of numbers is kept.

    A warning names the first unknown category of each column that is encoded as zeros.
    """
    X = to_numpy_types(X)
    encoded: NDArray[np.float64] = check_array(encoder.transform(X), dtype=np.float64, ensure_all_finite=False)
    for (start, stop), column in zip(one_hot_blocks(encoder), encoder.transformers_[0][2], strict=True):
        unknown = np.flatnonzero(~encoded[:, start:stop].any(axis=1))
        if len(unknown):
            row = unknown[0]
            value = X[column].iloc[row] if hasattr(X, "iloc") else X[row][column]
            text = f"{len(unknown)} {'row' if len(unknown) == 1 else 'rows'}"
            warnings.warn(f"X: column {column!r}: unknown category {value!r} in {text}, encoded as zeros", stacklevel=3)
    return encoded


def sklearn_names(encoder: ColumnTransformer) -> list[str]:
    """Return the name that scikit-learn gives to each encoded column of a data frame; several may be equal."""
    one_hot: list[str] = encoder.named_transformers_["categories"].get_feature_names_out().tolist()
    return one_hot + [str(name) for name in number_columns(encoder)]


def encoded_names(encoder: ColumnTransformer) -> list[str]:
    """Return a different name for each encoded column: scikit-learn's, with underscores appended where it is taken.

    Example:
        >>> from pandas import DataFrame
        >>> encoded_names(fit_encoder(DataFrame({"color": ["red", "blue"], "color_red": [1.0, 2.0]})))
        ['color_blue', 'color_red_', 'color_red']
    """
    names = sklearn_names(encoder)
    for place in range(len(names)):
        while names.count(names[place]) > 1:
            names[place] += "_"
    return names


def number_columns(encoder: ColumnTransformer) -> list[Any]:
    """Return the columns that the encoder passes through, in their order after the one-hot columns."""
    found = [columns for name, _, columns in encoder.transformers_ if name == "remainder"]
    return list(found[0]) if found else []


def one_hot_blocks(encoder: ColumnTransformer) -> list[tuple[int, int]]:
    """Return the first column and last column + 1 of each one-hot block of the encoded rows.

    Example:
        >>> one_hot_blocks(fit_encoder(np.array([["red", "x"], ["blue", "x"]], dtype=object)))
        [(0, 2), (2, 3)]
    """
    one_hot = encoder.named_transformers_["categories"]
    widths = [len(categories) for categories in _encoded_categories(one_hot)]
    ends = np.cumsum(widths)
    return [(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]


def split_categories(one_hot: OneHotEncoder) -> list[tuple[list[Any], list[Any]]]:
    """Return the frequent and the rare categories of each column; the rare ones share the last encoded column."""
    split = []
    for categories, infrequent in zip(one_hot.categories_, one_hot.infrequent_categories_, strict=True):
        rare = [] if infrequent is None else list(infrequent)
        known = {_comparable(value) for value in rare}
        split.append(([value for value in categories if _comparable(value) not in known], rare))
    return split


def is_nan(value: Any) -> bool:
    """Return whether a category is NaN, of any float type."""
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def decode_rows(encoder: ColumnTransformer, encoded: NDArray[np.float64], like: Any) -> Any:
    """Decode encoded rows; a shared column of rare categories is decoded to the first of these.

    Args:
        encoder: result of :func:`fit_encoder`.
        encoded: rows (N, E).
        like: rows of the table, for the type, the columns and their dtypes.

    Returns:
        Data frame or object array (N, D).

    Example:
        >>> table = np.array([["red", 1.0], ["blue", 2.0]], dtype=object)
        >>> encoder = fit_encoder(table)
        >>> decode_rows(encoder, encode_rows(encoder, table), table).tolist()
        [['red', 1.0], ['blue', 2.0]]
    """
    one_hot = encoder.named_transformers_["categories"]
    columns = encoder.transformers_[0][2]
    decoded: dict[Any, NDArray[Any]] = {}
    for (start, stop), name, categories in zip(
        one_hot_blocks(encoder), columns, _encoded_categories(one_hot), strict=True
    ):
        decoded[name] = np.asarray(categories, dtype=object)[encoded[:, start:stop].argmax(axis=1)]
        position = stop
    frame = hasattr(like, "iloc")
    names = list(like.columns) if frame else list(range(like.shape[1]))
    for name in names:
        if name not in decoded:
            decoded[name] = encoded[:, position]
            position += 1
    if not frame:
        return np.column_stack([decoded[name].astype(object) for name in names])
    return type(like)({name: decoded[name] for name in names}).astype({name: like[name].dtype for name in columns})


def _check_column_names(X: Any) -> None:
    """Validate that all names are text; scikit-learn takes integers as positions, which are the same in a range."""
    numbers = [name for name in X.columns if not isinstance(name, str)]
    if numbers and list(X.columns) != list(range(X.shape[1])):
        raise ConfigurationError(
            f"X: got the column name {numbers[0]!r}, expected text; set X.columns = X.columns.astype(str)"
        )


def _is_categorical(column: Any) -> bool:
    if column.dtype.kind in "fiub":
        return False
    if column.dtype.kind == "O" and str(column.dtype) == "object":
        return any(isinstance(value, str) for value in column)
    return str(column.dtype) in ("category", "string", "str") or str(column.dtype).startswith("string")


def _encoded_categories(one_hot: OneHotEncoder) -> list[list[Any]]:
    """Return the categories of each block in the order of its columns."""
    return [[*frequent, *rare[:1]] for frequent, rare in split_categories(one_hot)]


def _comparable(value: Any) -> Any:
    """Return one object for every NaN: scikit-learn returns new NaN objects, which are not equal."""
    return np.nan if is_nan(value) else value
