"""Held-out rows of a compression, and the teacher's predictions of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import Pipeline

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.tabular.encoding import fit_encoder
from ganmc_lightning.tabular.folds import stratified_folds
from ganmc_lightning.tabular.sampling import column_name
from ganmc_lightning.tabular.teacher import TEACHER_TREES, Teacher, fit_teacher, is_fitted, set_random_states
from ganmc_lightning.tabular.teacher_labels import is_bootstrap_forest, out_of_bag_outputs

TeacherScores = Literal["unseen", "out_of_bag", "seen"]
TEST_FOLDS = 5
"""One of the parts is held out."""


@dataclass(frozen=True)
class CompressionRows:
    """Rows to fit and to test students on, with the teacher's outputs.

    Attributes:
        X: training rows (N, D), data frame or array.
        y: their labels or values (N,).
        X_test: test rows (M, D).
        y_test: their labels or values (M,).
        teacher: fitted teacher.
        oob_outputs: out-of-bag outputs of X where the teacher was fitted to the test rows too, else None.
        test_outputs: the teacher's probabilities (M, K) or values (M,) of the test rows.
        teacher_scores: ``unseen`` where the teacher was not fitted to the test rows, ``out_of_bag`` where
            ``test_outputs`` are averages of the trees that were not, ``seen`` where it may have been.
        held_out: whether the test rows are a part of the given training rows.
    """

    X: Any
    y: NDArray[Any]
    X_test: Any
    y_test: NDArray[Any]
    teacher: Any
    oob_outputs: NDArray[np.float64] | None
    test_outputs: NDArray[np.float64]
    teacher_scores: TeacherScores
    held_out: bool


def split_rows(teacher: Any, X: Any, y: NDArray[Any], test: tuple[Any, Any] | None, seed: int) -> CompressionRows:
    """Hold out a fifth of the rows unless test rows are given, and fit an unfitted teacher to the others.

    Args:
        teacher: classifier or regressor, fitted or not.
        X: rows (N, D).
        y: labels or values (N,).
        test: test rows and their labels or values, or None.
        seed: random seed of the part and of an unfitted teacher.

    Raises:
        ConfigurationError: the teacher was fitted to other columns or classes, or cannot predict the rows.
    """
    regression = not hasattr(teacher, "predict_proba")
    fitted = is_fitted(teacher)
    checked = _check_teacher(teacher, X, y, regression) if fitted else None
    if test is not None and not regression:
        _check_classes(np.asarray(test[1]), y)
    if test is not None:
        model = teacher if fitted else _fit(teacher, X, y, seed)
        outputs = _predict(checked or _check_teacher(model, X, y, regression), test[0])
        return CompressionRows(X, y, test[0], np.asarray(test[1]), model, None, outputs, "unseen", False)
    codes = np.zeros(len(y), dtype=np.int64) if regression else np.unique(y, return_inverse=True)[1].astype(np.int64)
    held_out = stratified_folds(codes, TEST_FOLDS, seed) == 0
    if not held_out.any() or (not regression and len(np.unique(y[held_out])) < 2):
        raise ConfigurationError(f"X: got {len(y)} rows, too few to hold out test rows; pass test rows")
    X_train, y_train, X_test, y_test = _take(X, ~held_out), y[~held_out], _take(X, held_out), y[held_out]
    if checked is None:
        model = _fit(teacher, X_train, y_train, seed)
        outputs = _predict(_check_teacher(model, X_train, y_train, regression), X_test)
        return CompressionRows(X_train, y_train, X_test, y_test, model, None, outputs, "unseen", True)
    outputs = _predict(checked, X)
    if is_bootstrap_forest(teacher) and _fitted_rows(teacher) == len(y):
        oob = out_of_bag_outputs(teacher, teacher_inputs(teacher, X), outputs)
        return CompressionRows(
            X_train, y_train, X_test, y_test, teacher, oob[~held_out], oob[held_out], "out_of_bag", True
        )
    return CompressionRows(X_train, y_train, X_test, y_test, teacher, None, outputs[held_out], "seen", True)


def default_teacher(regression: bool) -> Any:
    """Return the unfitted random forest of 500 trees of GAN-MC section 4."""
    return (RandomForestRegressor if regression else RandomForestClassifier)(TEACHER_TREES)


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


def teacher_inputs(model: Any, X: Any) -> Any:
    """Return rows as a fitted model receives them: an array where it was fitted without names of columns."""
    if hasattr(X, "iloc") and getattr(model, "feature_names_in_", None) is None and not _has_text(X):
        return X.to_numpy()
    return X


def _check_teacher(model: Any, X: Any, y: NDArray[Any], regression: bool) -> Teacher:
    names = list(X.columns) if hasattr(X, "iloc") else None
    if names is not None:
        check_columns(model, [str(name) for name in names], "X")
    return fit_teacher(model, X, y, 0, names, regression=regression)


def _fit(teacher: Any, X: Any, y: NDArray[Any], seed: int) -> Any:
    """Fit a clone; where the table has categories, a pipeline with an encoder, which receives the rows as they are."""
    model = set_random_states(clone(teacher), seed)
    encoder = None if isinstance(model, Pipeline) else fit_encoder(X)
    if encoder is not None:
        model = Pipeline([("encoder", encoder), ("model", model)])
    return model.fit(X, y)


def _check_classes(y_test: NDArray[Any], y: NDArray[Any]) -> None:
    unknown = np.setdiff1d(y_test, y)
    if len(unknown):
        raise ConfigurationError(
            f"y_test: got {unknown.tolist()[0]!r}, expected one of the classes {np.unique(y).tolist()}"
        )


def _predict(teacher: Teacher, X: Any) -> NDArray[np.float64]:
    try:
        return teacher.predict_outputs(teacher_inputs(teacher.model, X))
    except ConfigurationError:
        raise
    except (ValueError, TypeError, KeyError) as error:  # such as an unknown category or NaN
        detail = f"{type(error).__name__}: {one_line(error)}"
        missing = _missing_column(X)
        hint = "" if missing is None else f"; {missing} has missing values"
        raise ConfigurationError(f"teacher: cannot predict the rows ({detail}){hint}") from error


def _missing_column(X: Any) -> str | None:
    if not hasattr(X, "iloc"):
        return None
    missing = [int(place) for place, name in enumerate(X.columns) if X[name].isna().any()]
    return column_name(list(X.columns), missing[0]) if missing else None


def _fitted_rows(model: Any) -> int:
    """Return the number of rows that a forest, or the last step of a pipeline, was fitted to."""
    return int((model.steps[-1][1] if isinstance(model, Pipeline) else model)._n_samples)


def _has_text(X: Any) -> bool:
    return any(X[name].dtype.kind not in "fiub" for name in X.columns)


def _take(X: Any, rows: NDArray[np.bool_]) -> Any:
    return X.iloc[np.flatnonzero(rows)] if hasattr(X, "iloc") else X[rows]
