"""Validation of the teacher and the targets of a compression, and of the rows that the teacher predicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import column_or_1d

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.tabular.encoding import to_numpy_types
from ganmc_lightning.tabular.metrics import roc_auc
from ganmc_lightning.tabular.sampling import column_name
from ganmc_lightning.tabular.teacher import Teacher
from ganmc_lightning.tabular.validation import check_class_targets, check_no_index, check_numbers, check_values


def read_rows(X: Any) -> Any:
    """Return rows as a data frame of NumPy types or an array; one of objects where a list contains text."""
    if hasattr(X, "shape"):
        return to_numpy_types(X)
    array = np.asarray(X)
    return np.asarray(X, dtype=object) if array.dtype.kind in "US" else array


def check_columns(model: Any, columns: list[str], source: str) -> None:
    """Validate that a fitted model has the columns of a table in their order; models without names are not checked.

    Args:
        model: fitted classifier or regressor.
        columns: names of the columns.
        source: name of the table, for error messages.

    Raises:
        ConfigurationError: naming the first column that is missing, additional or in another place.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        count = getattr(model, "n_features_in_", None)
        if count is not None and count != len(columns):
            raise ConfigurationError(f"teacher: was fitted to {count} columns, {source} has {len(columns)}")
        return
    for name in names:
        if name not in columns:
            raise ConfigurationError(f"teacher: was fitted to the column {name!r}, which {source} does not have")
    for name in columns:
        if name not in names:
            raise ConfigurationError(f"teacher: was not fitted to the column {name!r} of {source}; drop it")
    for place, (own, given) in enumerate(zip(names, columns, strict=True)):
        if own != given:
            raise ConfigurationError(
                f"teacher: was fitted to the columns in another order, {own!r} is at place {place + 1} where {source} "
                f"has {given!r}"
            )


def has_names(model: Any) -> bool:
    """Return whether a fitted model has the names of its columns."""
    return getattr(model, "feature_names_in_", None) is not None


def teacher_inputs(model: Any, X: Any) -> Any:
    """Return rows as a fitted model receives them: an array where it was fitted without names of columns."""
    if hasattr(X, "iloc") and not has_names(model) and not _has_text(X):
        return X.to_numpy()
    return X


def check_rows(X: Any, y: ArrayLike, regression: bool) -> NDArray[Any]:
    """Validate the training rows; return their labels or values (N,).

    Raises:
        ConfigurationError: ``y`` has another length, other targets than those of the task, or one value; or the first
            column numbers the rows.
    """
    targets: NDArray[Any] = column_or_1d(y, dtype=np.float64 if regression else None)
    if regression:
        _check_finite(targets, "y")
        check_values(targets)
    else:
        check_class_targets(targets)
    check_no_index(X)
    _check_length(X, targets, "y")
    return targets


def check_targets(X: Any, given: ArrayLike, y: NDArray[Any], regression: bool, name: str) -> NDArray[Any]:
    """Validate the targets of validation or test rows, which need two values to be scored; return them.

    Args:
        X: the rows (M, D).
        given: their labels or values (M,).
        y: labels or values (N,) of the training rows.
        regression: whether they are values.
        name: name of the targets, for error messages.

    Raises:
        ConfigurationError: another length, another class, a value that is not finite, or one value.
    """
    given = np.ravel(np.asarray(given))
    _check_length(X, given, name)
    if regression:
        check_numbers(given, name)
        _check_finite(given.astype(np.float64), name)
    else:
        unknown = np.setdiff1d(given, y)
        if len(unknown):
            raise ConfigurationError(
                f"{name}: got {unknown.tolist()[0]!r}, expected one of the classes {np.unique(y).tolist()}"
            )
    if not len(given):
        raise ConfigurationError(f"{name}: got no values, expected two or more")
    if len(np.unique(given)) < 2:
        raise ConfigurationError(f"{name}: got one value, {given.tolist()[0]!r}, expected two or more")
    return given


def _check_length(X: Any, y: NDArray[Any], name: str) -> None:
    if len(X) != len(y):
        raise ConfigurationError(f"{name}: got {len(y)} values for {len(X)} rows, expected one per row")


def _check_finite(y: NDArray[np.float64], name: str) -> None:
    other = y[~np.isfinite(y)]
    if len(other):
        raise ConfigurationError(f"{name}: got {other[0]}, expected finite numbers")


def check_column_order(teacher: Teacher, y: NDArray[Any], outputs: NDArray[np.float64], regression: bool) -> None:
    """Validate that a teacher without names of columns is better than chance; its columns may have another order."""
    if regression:
        score, chance, name = float(r2_score(y, outputs)), 0.0, "R²"
    else:
        codes = np.equal(y[:, None], teacher.classes).argmax(axis=1)
        score, chance, name = roc_auc(codes, outputs), 0.5, "AUC"
    if score <= chance:
        raise ConfigurationError(
            f"teacher: has no names of columns and is no better than chance on the test rows ({name} {score:.3f}); "
            "give the columns in the order in which it was fitted to them"
        )


def unusable_rows(action: str, X: Any, error: Exception) -> ConfigurationError:
    """Return the error for rows that a teacher cannot be fitted to or predict, with the probable cause.

    Args:
        action: ``fit`` or ``predict``.
        X: rows (N, D), data frame or array.
        error: exception of the teacher.
    """
    text = one_line(error)
    hint = "".join(f"; {found}" for found in _unusable_columns(X))
    if "unknown categor" in text:
        hint += "; remove these rows, or fit the model's encoder with handle_unknown='ignore'"
    return ConfigurationError(f"teacher: cannot {action} the rows ({type(error).__name__}: {text}){hint}")


def _unusable_columns(X: Any) -> Iterator[str]:
    """Describe the first column with missing values and the first one with infinity."""
    if not hasattr(X, "iloc"):
        return
    numbers = X.select_dtypes("number")
    for found, text in ((X.isna().any(), "has missing values"), (np.isinf(numbers).any(), "contains infinity")):
        names = list(found.index[found])
        if names:
            yield f"{column_name(list(X.columns), list(X.columns).index(names[0]))} {text}"


def _has_text(X: Any) -> bool:
    return any(X[name].dtype.kind not in "fiub" for name in X.columns)
