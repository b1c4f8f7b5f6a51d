"""Validation of the tables and arguments given to the distilled estimators."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.sampling import column_name

INDEX_NAMES = re.compile(r"Unnamed: 0|index|level_\d+|id|row|row[ _]?(id|number|num|names?)", re.IGNORECASE)
"""Names of columns that number the rows, such as those that pandas gives to a written index."""


def check_class_targets(y: NDArray[Any]) -> None:
    """Validate that labels are two or more classes.

    Raises:
        ConfigurationError: continuous values, or one class.
    """
    kind = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass"):
        # the first three words are those of scikit-learn
        raise ConfigurationError(f"y: Unknown label type: {kind}, expected classes; use DistilledRegressor for numbers")
    classes = np.unique(y)
    if len(classes) == 1:
        raise ConfigurationError(f"y: got one class, {classes.tolist()[0]!r}, expected two or more")


def check_values(y: NDArray[Any]) -> None:
    """Validate that targets of a regression are not all equal.

    Raises:
        ConfigurationError: one value.
    """
    if len(y) == 1:
        raise ConfigurationError("X: got 1 sample, expected two or more")
    if np.equal(y, y[0]).all():
        raise ConfigurationError(f"y: got one value, {y[0]}, expected two or more")


def check_numbers(y: Any, name: str = "y") -> None:
    """Validate that targets of a regression are numbers.

    Args:
        y: the targets.
        name: name of the targets for the error message (default: ``"y"``).

    Raises:
        ConfigurationError: text.
    """
    values = np.ravel(np.asarray(y))
    if values.dtype.kind in "OUS":
        try:
            values.astype(np.float64)
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"{name}: got {values.tolist()[0]!r}, expected numbers; use DistilledClassifier"
            ) from None


def check_no_infinity(X: NDArray[Any], feature_names: Any) -> None:
    """Validate that no value is infinite.

    Raises:
        ConfigurationError: naming the first column with infinity.
    """
    infinite = np.isinf(X)
    if infinite.any():
        column = int(infinite.any(axis=0).argmax())
        raise ConfigurationError(
            f"X: {column_name(feature_names, column)} contains infinity in {int(infinite[:, column].sum())} samples, "
            "expected finite values"
        )


def check_missing(X: NDArray[Any], feature_names: Any, model: Any, argument: str) -> None:
    """Validate that a model accepts the missing values of a table.

    Args:
        X: encoded rows (N, E).
        feature_names: names of the columns, or None.
        model: teacher or student. Not checked are an object without scikit-learn's tags and a pipeline, whose tags
            do not state whether a step imputes missing values.
        argument: name of the argument for error messages.

    Raises:
        ConfigurationError: naming the first column with NaN.
    """
    missing = np.isnan(X)
    if not missing.any() or not hasattr(model, "__sklearn_tags__") or isinstance(model, Pipeline):
        return
    if get_tags(model).input_tags.allow_nan:
        return
    column = int(missing.any(axis=0).argmax())
    raise ConfigurationError(
        f"X: {column_name(feature_names, column)} contains NaN in {int(missing[:, column].sum())} samples, expected "
        f"finite values, because the {argument} {type(model).__name__} does not accept NaN"
    )


def check_no_empty_column(X: NDArray[Any], feature_names: Any) -> None:
    """Validate that no column consists of missing values, of which boosting of scikit-learn computes no bins.

    Raises:
        ConfigurationError: naming the first column without a value.
    """
    empty = np.isnan(X).all(axis=0)
    if empty.any():
        raise ConfigurationError(
            f"X: {column_name(feature_names, int(empty.argmax()))} has no values, expected some for boosting; drop it"
        )


def check_no_index(X: Any) -> None:
    """Validate that the first column of a data frame is not a written index.

    Raises:
        ConfigurationError: a column with the name of an index has distinct whole numbers.
    """
    if not hasattr(X, "iloc") or not len(X.columns) or not INDEX_NAMES.fullmatch(str(X.columns[0])):
        return
    values = np.asarray(X.iloc[:, 0])
    whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool((values == np.round(values)).all()))
    if whole and len(np.unique(values)) == len(values) > 1:
        raise ConfigurationError(
            f"X: column {X.columns[0]!r} numbers the rows, expected a feature; read the file with index_col=0"
        )


def check_positive(name: str, value: Any, largest: float = np.inf) -> None:
    """Validate that a number is positive and at most ``largest``.

    Raises:
        ConfigurationError: another number.

    Example:
        >>> check_positive("max_nodes", 300)
    """
    if not 0 < value <= largest:
        bound = "" if np.isinf(largest) else f" up to {largest}"
        raise ConfigurationError(f"{name}: got {value}, expected a positive number{bound}")


def check_option(name: str, value: Any, options: tuple[str, ...]) -> None:
    """Validate that a value is one of some names.

    Raises:
        ConfigurationError: another value.
    """
    if value not in options:
        raise ConfigurationError(f"{name}: got {value!r}, expected one of {', '.join(options)}")
