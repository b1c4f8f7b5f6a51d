"""Whether an export answers as scikit-learn does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export.probes import SPECIAL, probe_rows
from ganmc_lightning.tabular.student import StudentClassifier

_TEXT = "OUT"
"""Kinds of arrays of text: objects, fixed and variable lengths."""


@dataclass(frozen=True)
class Answers:
    """What a model, or its export, answers to N rows.

    Attributes:
        labels: the classes (N,) or, of many outputs, (N, outputs); None for a regressor.
        values: float64 (N, K): probabilities, or the values of a regressor; None for a classifier without
            ``predict_proba``.
    """

    labels: NDArray[Any] | None
    values: NDArray[np.float64] | None


def check_fitted(model: Any) -> None:
    """Make sure that a model can predict.

    Raises:
        ConfigurationError: it is not fitted, or is neither a classifier nor a regressor.
    """
    kind = type(model).__name__
    if not (is_classifier(model) or is_regressor(model)):
        raise ConfigurationError(
            f"{kind} cannot be exported: it is neither a classifier nor a regressor of scikit-learn"
        )
    try:
        check_is_fitted(model.regressor if isinstance(model, StudentClassifier) else model)
    except NotFittedError as error:
        raise ConfigurationError(f"{kind} is not fitted: call fit before the export") from error


def comparable(model: Any) -> bool:
    """Whether a model is a fitted classifier or regressor that accepts rows of numbers."""
    known = hasattr(model, "n_features_in_") and (is_classifier(model) or is_regressor(model))
    return known and _accepts(model, 0)


def accepts_missing(model: Any) -> bool:
    """Whether a model accepts NaN in a row."""
    return _accepts(model, np.nan)


def answers_of(model: Any, rows: Any) -> Answers:
    """Predict with a fitted model of scikit-learn; a forest sums over its trees in their order, on one thread."""
    single = _in_order(model)
    # scikit-learn sums all values to see whether they are finite, and the largest ones overflow.
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # The rows are compared as they are; that they have no names says nothing of them.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if not is_classifier(model):
            return Answers(None, _table(single.predict(rows), len(rows)))
        values = single.predict_proba(rows) if hasattr(single, "predict_proba") else None
        return Answers(single.predict(rows), None if values is None else _table(values, len(rows)))


def verify(
    target: Path, model: Any, export: Callable[[NDArray[np.float32]], Answers], tolerance: float, ties: bool = False
) -> None:
    """Compare an export with its model on rows on and beside its thresholds, before it is written.

    Args:
        target: the file to be written, for the message.
        model: fitted.
        export: predicts with the export.
        tolerance: how far values may differ, as a share of the largest value, or of 1 if that is more.
        ties: let labels differ where the model's two highest probabilities differ by less than twice the tolerance.

    Raises:
        ConfigurationError: the answers differ, or the model accepts no rows of numbers.
    """
    if not comparable(model):
        raise ConfigurationError(
            f"{target} is not written: {type(model).__name__} must accept rows of numbers to be compared"
        )
    rows = probe_rows(model, np.array([_accepts(model, value) for value in SPECIAL]))
    expected, made = answers_of(model, rows), export(rows)
    different, distance = np.zeros(len(rows), dtype=bool), 0.0
    close = different
    if expected.values is not None:
        shape = None if made.values is None else made.values.shape
        if made.values is None or shape != expected.values.shape:
            raise _refusal(target, model, f"its answers have shape {shape}", expected.values.shape)
        allowed = tolerance * max(1.0, float(np.abs(expected.values).max()))
        apart = np.abs(made.values - expected.values).max(axis=1)
        distance = float(apart.max())
        different = ~(apart <= allowed)
        if ties and expected.labels is not None and expected.labels.ndim > 1:
            close = np.ones(len(rows), dtype=bool)  # of many outputs, whose values alone are compared
        elif ties and expected.values.shape[1] > 1:
            close = np.diff(np.sort(expected.values, axis=1)[:, -2:])[:, 0] <= 2 * allowed
    if expected.labels is not None and made.labels is not None:
        different = different | (labels_differ(expected.labels, made.labels) & ~close)
    if different.any():
        at = int(different.argmax())
        found = f"{int(different.sum())} of {len(rows)} rows differ, by up to {distance:.3g}; one is {_text(rows[at])}"
        raise _refusal(target, model, found, "none")


def labels_differ(labels: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows (N,) whose labels differ; labels that look alike are alike, such as 1 and True."""
    if labels.dtype.kind in _TEXT or others.dtype.kind in _TEXT:
        labels, others = labels.astype(str), others.astype(str)
    differ: NDArray[np.bool_] = (labels != others.reshape(labels.shape)).reshape(len(labels), -1).any(axis=1)
    return differ


def _refusal(target: Path, model: Any, found: str, expected: object) -> ConfigurationError:
    return ConfigurationError(
        f"{target} is not written: the export answers otherwise than {type(model).__name__}: {found}, expected "
        f"{expected}: store the model by save_skops instead"
    )


def _text(row: NDArray[np.float32]) -> str:
    shown = ", ".join(f"{value:.9g}" for value in row[:8])
    return f"[{shown}{', ...' if len(row) > 8 else ''}]"


def _accepts(model: Any, value: float) -> bool:
    try:
        answers_of(model, np.full((1, int(model.n_features_in_)), value, dtype=np.float32))
    except (ValueError, TypeError):
        return False
    return True


def _in_order(model: Any) -> Any:
    """A shallow copy on one thread: with more, a forest adds up its trees in whatever order they end."""
    if isinstance(model, StudentClassifier):
        return StudentClassifier(_in_order(model.regressor), model.classes, model.feature_names)
    if not hasattr(model, "n_jobs"):
        return model
    single = copy.copy(model)
    single.n_jobs = 1
    return single


def _table(values: Any, rows: int) -> NDArray[np.float64]:
    """Values as (N, K); those of a classifier of many outputs side by side."""
    if isinstance(values, list):
        values = np.concatenate(values, axis=1)
    return np.asarray(values, dtype=np.float64).reshape(rows, -1)
