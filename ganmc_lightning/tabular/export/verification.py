"""Verification that the predictions of an export equal scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export.boosting import decode_samples
from ganmc_lightning.tabular.export.probes import SPECIAL, probe_samples
from ganmc_lightning.tabular.teacher import is_fitted, single_threaded

_TEXT = "OUT"
"""NumPy dtype kinds of text: object, fixed and variable length."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model or its export for N samples.

    Attributes:
        labels: class labels (N,), or (N, outputs) for multiple outputs; None for a regressor.
        values: float64 (N, K): probabilities, or values of a regressor; None for a classifier without
            ``predict_proba``.
    """

    labels: NDArray[Any] | None
    values: NDArray[np.float64] | None


def check_fitted(model: Any) -> None:
    """Validate that a model is a fitted classifier or regressor.

    Raises:
        ConfigurationError: the model is neither a classifier nor a regressor.
        NotFittedError: the model is not fitted.
    """
    kind = type(model).__name__
    if not (is_classifier(model) or is_regressor(model)):
        raise ConfigurationError(f"model: got {kind}, expected a scikit-learn classifier or regressor")
    if not is_fitted(model):
        raise NotFittedError(f"This {kind} instance is not fitted yet. Call 'fit' before the export.")


def comparable(model: Any) -> bool:
    """Return whether a model is a fitted classifier or regressor that accepts numeric samples."""
    known = hasattr(model, "n_features_in_") and (is_classifier(model) or is_regressor(model))
    return known and _accepts(model, 0)


def accepts_missing(model: Any) -> bool:
    """Return whether a model accepts NaN."""
    return _accepts(model, np.nan)


def predict_with(model: Any, X: Any) -> Predictions:
    """Predict with a fitted scikit-learn model on one thread, so that a forest sums its trees in order."""
    X = decode_samples(model, X)
    # scikit-learn checks finiteness by a sum of all values, which may overflow
    with single_threaded(), warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # probe samples have no feature names, and unknown categories
        warnings.filterwarnings("ignore", message="X does not have valid feature names|Found unknown categories")
        if not is_classifier(model):
            return Predictions(None, _to_matrix(model.predict(X), len(X)))
        values = model.predict_proba(X) if hasattr(model, "predict_proba") else None
        return Predictions(model.predict(X), None if values is None else _to_matrix(values, len(X)))


def verify(
    target: Path,
    model: Any,
    export: Callable[[NDArray[Any]], Predictions],
    tolerance: float,
    ties: bool = False,
    dtype: DTypeLike = np.float64,
) -> None:
    """Compare an export with its model on samples on and next to its thresholds.

    Args:
        target: output file, for error messages.
        model: fitted model.
        export: function that predicts with the export.
        tolerance: largest difference of values, relative to the largest value or 1, whichever is larger.
        ties: allow labels to differ where the model's two highest probabilities differ by at most twice the tolerance
            (default: False).
        dtype: type of the samples of boosted models (default: float64); those of other models are float32.

    Raises:
        ConfigurationError: the predictions differ, or the model does not accept numeric samples.
    """
    if not comparable(model):
        raise ConfigurationError(
            f"{target}: not written, because {type(model).__name__} does not accept numeric samples to verify it on"
        )
    X = probe_samples(model, np.array([_accepts(model, value) for value in SPECIAL]), dtype)
    expected, actual = predict_with(model, X), export(X)
    different, distance = np.zeros(len(X), dtype=bool), 0.0
    close = different
    if expected.values is not None:
        shape = None if actual.values is None else actual.values.shape
        if actual.values is None or shape != expected.values.shape:
            raise _error(target, model, f"shape {shape}, expected {expected.values.shape}")
        allowed = tolerance * max(1.0, float(np.abs(expected.values).max()))
        apart = np.abs(actual.values - expected.values).max(axis=1)
        distance = float(apart.max())
        different = ~(apart <= allowed)
        if ties and expected.labels is not None and expected.labels.ndim > 1:
            close = np.ones(len(X), dtype=bool)  # only values are compared for multiple outputs
        elif ties and expected.values.shape[1] > 1:
            close = np.diff(np.sort(expected.values, axis=1)[:, -2:])[:, 0] <= 2 * allowed
    if expected.labels is not None and actual.labels is not None:
        different = different | (labels_differ(expected.labels, actual.labels) & ~close)
    if different.any():
        at = int(different.argmax())
        raise _error(
            target, model, f"{int(different.sum())} of {len(X)} samples, by up to {distance:.3g}, e.g. {_text(X[at])}"
        )


def labels_differ(labels: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which samples (N,) have different labels; labels of equal value, such as 1 and True, are equal."""
    if labels.dtype.kind in _TEXT or others.dtype.kind in _TEXT:
        labels, others = labels.astype(str), others.astype(str)
    differ: NDArray[np.bool_] = (labels != others.reshape(labels.shape)).reshape(len(labels), -1).any(axis=1)
    return differ


def _error(target: Path, model: Any, difference: str) -> ConfigurationError:
    return ConfigurationError(
        f"{target}: not written, because the predictions of the export differ from {type(model).__name__}: "
        f"{difference}; use save_skops instead"
    )


def _text(sample: NDArray[Any]) -> str:
    values = ", ".join(f"{value:.9g}" for value in sample[:8])
    return f"[{values}{', ...' if len(sample) > 8 else ''}]"


def _accepts(model: Any, value: float) -> bool:
    try:
        predict_with(model, np.full((1, int(model.n_features_in_)), value, dtype=np.float32))
    except (ValueError, TypeError):
        return False
    return True


def _to_matrix(values: Any, n: int) -> NDArray[np.float64]:
    """Reshape values to (N, K); those of a classifier with multiple outputs are concatenated."""
    if isinstance(values, list):
        values = np.concatenate(values, axis=1)
    return np.asarray(values, dtype=np.float64).reshape(n, -1)
