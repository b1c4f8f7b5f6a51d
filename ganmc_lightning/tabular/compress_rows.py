"""Held-out rows of a compression, and the teacher's predictions of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.pipeline import Pipeline

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.compress_checks import (
    check_column_order,
    check_columns,
    check_targets,
    has_names,
    teacher_inputs,
    unusable_rows,
)
from ganmc_lightning.tabular.encoding import fit_encoder
from ganmc_lightning.tabular.folds import stratified_folds
from ganmc_lightning.tabular.teacher import (
    TEACHER_TREES,
    Teacher,
    fit_teacher,
    is_fitted,
    set_random_states,
    takes_raw_columns,
    weight_argument,
)

TeacherScores = Literal["unseen", "refitted", "seen"]
FOLDS = 5
"""One of the parts is held out."""


@dataclass(frozen=True)
class CompressionRows:
    """Rows to fit, choose and test students on, with teachers that were not fitted to the held-out rows.

    Attributes:
        X: training rows (N, D) of the final student, data frame or array.
        y: their labels or values (N,).
        sample_weight: their weights (N,), or None.
        teacher: fitted teacher of the final student.
        X_test: test rows (M, D).
        y_test: their labels or values (M,).
        test_outputs: the teacher's probabilities (M, K) or values (M,) of the test rows.
        teacher_scores: ``unseen`` where the teacher was not fitted to the test rows, ``refitted`` where a fitted
            teacher was fitted again without them, ``seen`` where it may have been fitted to them.
        teacher_given: whether the teacher was given fitted.
        held_out: whether the test rows are a part of the given training rows.
        choice: rows to choose a student on: training and validation rows, and their teacher.
    """

    X: Any
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    teacher: Any
    X_test: Any
    y_test: NDArray[Any]
    test_outputs: NDArray[np.float64]
    teacher_scores: TeacherScores
    teacher_given: bool
    held_out: bool
    choice: ChoiceRows


@dataclass(frozen=True)
class ChoiceRows:
    """Rows to choose a student on.

    Attributes:
        X: rows to fit candidates to.
        y: their labels or values.
        sample_weight: their weights, or None.
        X_val: validation rows.
        y_val: their labels or values.
        teacher: fitted teacher.
        given: whether the validation rows were given, so that candidates are fitted to all training rows.
        seen: whether the teacher may have been fitted to the validation rows.
    """

    X: Any
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    X_val: Any
    y_val: NDArray[Any]
    teacher: Any
    given: bool
    seen: bool


def split_rows(
    teacher: Any,
    X: Any,
    y: NDArray[Any],
    validation: tuple[Any, Any] | None,
    test: tuple[Any, Any] | None,
    seed: int,
    sample_weight: NDArray[np.float64] | None = None,
) -> CompressionRows:
    """Hold out test and validation rows where they are not given, and fit teachers without them.

    The teacher's outputs of other rows depend on the labels that it was fitted to, so that a student of it would be
    scored too high on these. A scikit-learn teacher is therefore fitted again, with its parameters.

    Args:
        teacher: classifier or regressor, fitted or not.
        X: rows (N, D).
        y: labels or values (N,).
        validation: validation rows and their labels or values, or None for a fifth of the other rows.
        test: test rows and their labels or values, or None for a fifth of the rows.
        seed: random seed of the parts and of the fits.
        sample_weight: weights (N,) of the fits; None (default) for equal weights.

    Raises:
        ConfigurationError: the teacher was fitted to other columns or classes, cannot predict the rows, or does not
            accept weights.
    """
    regression = not hasattr(teacher, "predict_proba")
    fitted = is_fitted(teacher)
    if fitted:
        _check_teacher(teacher, X, y, regression)
    validation, test = (
        None if part is None else (part[0], check_targets(*part, y, regression, name))
        for name, part in (("y_val", validation), ("y_test", test))
    )
    held_out = test is None
    if test is None:
        part = _hold_out(y, regression, seed, sample_weight)
        X_test, y_test = _take(X, part), y[part]
        X, y, sample_weight = _take(X, ~part), y[~part], _take(sample_weight, ~part)
    else:
        X_test, y_test = test
    scores: TeacherScores = "unseen"
    if not fitted or (held_out and _can_refit(teacher)):
        scores = "refitted" if fitted else "unseen"
        teacher = _fit(teacher, X, y, sample_weight, seed)
    elif held_out:
        scores = "seen"
    checked = _check_teacher(teacher, X, y, regression)
    outputs = _predict(checked, X_test)
    if hasattr(X, "iloc") and scores != "refitted" and fitted and not has_names(teacher):
        check_column_order(checked, y_test, outputs, regression)
    if validation is not None:
        choice = ChoiceRows(X, y, sample_weight, *validation, teacher, True, False)
    else:
        part = _hold_out(y, regression, seed + 1, sample_weight)
        kept = _take(X, ~part), y[~part], _take(sample_weight, ~part)
        refit = _can_refit(teacher)
        chooser = _fit(teacher, *kept, seed) if refit else teacher
        choice = ChoiceRows(*kept, _take(X, part), y[part], chooser, False, not refit)
    return CompressionRows(X, y, sample_weight, teacher, X_test, y_test, outputs, scores, fitted, held_out, choice)


def _hold_out(
    y: NDArray[Any], regression: bool, seed: int, sample_weight: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """Return which rows (N,) belong to a stratified fifth."""
    codes = np.zeros(len(y), dtype=np.int64) if regression else np.unique(y, return_inverse=True)[1].astype(np.int64)
    part: NDArray[np.bool_] = stratified_folds(codes, FOLDS, seed, sample_weight) == 0
    if len(np.unique(y[part])) < 2:
        raise ConfigurationError(
            f"X: got {len(y)} rows, too few to hold out a fifth of them; pass validation and test rows"
        )
    return part


def _can_refit(teacher: Any) -> bool:
    """Return whether a clone of a teacher is an unfitted estimator."""
    return hasattr(teacher, "fit") and hasattr(teacher, "get_params") and not is_fitted(clone(teacher))


def default_teacher(regression: bool) -> Any:
    """Return the unfitted random forest of 500 trees of GAN-MC section 4."""
    return (RandomForestRegressor if regression else RandomForestClassifier)(TEACHER_TREES)


def _check_teacher(model: Any, X: Any, y: NDArray[Any], regression: bool) -> Teacher:
    names = list(X.columns) if hasattr(X, "iloc") else None
    if names is not None:
        check_columns(model, [str(name) for name in names], "X")
    return fit_teacher(model, X, y, 0, names, regression=regression)


def _fit(teacher: Any, X: Any, y: NDArray[Any], sample_weight: NDArray[np.float64] | None, seed: int) -> Any:
    """Fit a clone; with an encoder in a pipeline where the table has categories that the teacher does not accept."""
    model = set_random_states(clone(teacher), seed)
    # the fitted forest does not depend on the number of threads
    jobs = {"n_jobs": -1} if isinstance(model, BaseForest) and model.n_jobs is None else {}
    model.set_params(**jobs)
    encoder = None if takes_raw_columns(teacher) else fit_encoder(X)
    if encoder is not None:
        model = Pipeline([("encoder", encoder), ("model", model)])
    inputs = teacher_inputs(teacher, X) if is_fitted(teacher) else X
    weights = weight_argument(model, sample_weight, "teacher")
    try:
        model.fit(inputs, y, **weights)
    except (ValueError, TypeError) as error:  # such as NaN
        raise unusable_rows("fit", X, error) from error
    (model if encoder is None else model[-1]).set_params(**dict.fromkeys(jobs))
    return model


def _predict(teacher: Teacher, X: Any) -> NDArray[np.float64]:
    try:
        return teacher.predict_outputs(teacher_inputs(teacher.model, X))
    except ConfigurationError:
        raise
    except (ValueError, TypeError, KeyError) as error:  # such as an unknown category or NaN
        raise unusable_rows("predict", X, error) from error


def _take(X: Any, rows: NDArray[np.bool_]) -> Any:
    if X is None:
        return None
    return X.iloc[np.flatnonzero(rows)] if hasattr(X, "iloc") else X[rows]
