"""The classifier to compress, fitted or not, of any library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import parallel_config  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ganmc_lightning.exceptions import ConfigurationError

TEACHER_TREES = 500
"""Trees of the teacher in GAN-MC section 4."""


@dataclass(frozen=True)
class Teacher:
    """A fitted classifier or regressor.

    Attributes:
        model: the classifier or regressor.
        classes: class labels (K,), in the order of its probabilities; empty for a regressor.
        feature_names: names of the features it was fitted with, or None.
    """

    model: Any
    classes: NDArray[Any]
    feature_names: Sequence[str] | None

    def to_fit_format(self, X: Any) -> Any:
        """Convert samples (N, D) to a data frame where the model was fitted to one; a data frame is returned as is."""
        if self.feature_names is None or hasattr(X, "iloc"):
            return X
        from pandas import DataFrame

        return DataFrame(X, columns=list(self.feature_names))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of samples (N, D).

        Raises:
            ConfigurationError: the classifier returns an array of another shape.
        """
        with single_threaded():
            probabilities = np.asarray(self.model.predict_proba(self.to_fit_format(X)), dtype=np.float64)
        if probabilities.shape != (len(X), len(self.classes)):
            raise ConfigurationError(
                f"teacher: predict_proba of {type(self.model).__name__} returned shape {probabilities.shape}, expected "
                f"({len(X)}, {len(self.classes)}), one column per class"
            )
        return probabilities

    def predict_outputs(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) with a classifier, values (N,) with a regressor.

        Raises:
            ConfigurationError: the model returns an array of another shape.
        """
        if len(self.classes):
            return self.predict_proba(X)
        with single_threaded():
            values = np.asarray(self.model.predict(self.to_fit_format(X)), dtype=np.float64)
        if values.size != len(X):
            raise ConfigurationError(
                f"teacher: predict of {type(self.model).__name__} returned shape {values.shape}, expected ({len(X)},)"
            )
        return values.ravel()


def single_threaded() -> parallel_config:
    """Return a context in which scikit-learn predicts on one thread.

    With more, a forest sums its trees in the order in which they finish, so that the last bits of its outputs vary.
    """
    return parallel_config(backend="sequential")


def fit_teacher(
    teacher: Any,
    X: Any,
    y: NDArray[Any],
    seed: int,
    feature_names: Sequence[str] | None = None,
    sample_weight: NDArray[np.float64] | None = None,
    regression: bool = False,
) -> Teacher:
    """Fit a clone of an unfitted model; use a fitted one unchanged.

    Args:
        teacher: classifier with ``predict_proba``, or regressor; None for the random forest of GAN-MC.
        X: training samples (N, D), array or data frame.
        y: class labels (N,), of any type; values for a regressor.
        seed: random seed for an unfitted model with ``random_state=None``.
        feature_names: names of the features of ``X``, or None.
        sample_weight: weights (N,) for an unfitted model; None weights all samples equally.
        regression: whether a regressor is expected (default: False).

    Raises:
        ConfigurationError: it is of the other kind, was fitted to other features or classes, or does not accept
            weights.
    """
    if teacher is None:
        teacher = (RandomForestRegressor if regression else RandomForestClassifier)(TEACHER_TREES)
    kind, method = type(teacher).__name__, "predict" if regression else "predict_proba"
    if not callable(getattr(teacher, method, None)):
        raise ConfigurationError(f"teacher: {kind} has no {method}")
    if regression and callable(getattr(teacher, "predict_proba", None)):
        raise ConfigurationError(f"teacher: got the classifier {kind}, expected a regressor")
    if not is_fitted(teacher):
        model = set_random_states(clone(teacher), seed)
        frame = Teacher(model, np.empty(0), feature_names).to_fit_format(X)
        model.fit(frame, y, **weight_argument(model, sample_weight, "teacher"))
        return Teacher(model, np.empty(0) if regression else np.asarray(model.classes_), feature_names)
    # scikit-learn estimators record features and classes; for others predict_proba checks the shape
    n_features, own_names = getattr(teacher, "n_features_in_", None), getattr(teacher, "feature_names_in_", None)
    if n_features is not None and n_features != X.shape[1]:
        raise ConfigurationError(f"teacher: {kind} was fitted to {n_features} features, X has {X.shape[1]}")
    if own_names is not None and feature_names is not None and list(own_names) != list(feature_names):
        own, given = next(pair for pair in zip(own_names, feature_names, strict=True) if pair[0] != pair[1])
        raise ConfigurationError(f"teacher: {kind} was fitted to the feature {own!r}, X has {given!r} in its place")
    classes = np.empty(0) if regression else _fitted_classes(teacher, y)
    return Teacher(teacher, classes, None if own_names is None else list(own_names))


def _fitted_classes(teacher: Any, y: NDArray[Any]) -> NDArray[Any]:
    """Return the classes of a fitted classifier; raise an error where y contains another one."""
    present = np.unique(y)
    classes = np.asarray(getattr(teacher, "classes_", present))
    unseen = np.setdiff1d(present, classes)
    if len(unseen):
        raise ConfigurationError(
            f"teacher: {type(teacher).__name__} was fitted to the classes {classes.tolist()}, y contains "
            f"{unseen.tolist()[0]!r}"
        )
    return classes


def set_random_states(estimator: Any, seed: int) -> Any:
    """Set every ``random_state`` of an estimator that is None, and return the estimator.

    Example:
        >>> set_random_states(RandomForestClassifier(), 3).random_state
        3
    """
    states = {
        key: int(seed)
        for key, value in estimator.get_params().items()
        if key.rpartition("__")[2] == "random_state" and value is None
    }
    return estimator.set_params(**states)


def weight_argument(estimator: Any, sample_weight: NDArray[np.float64] | None, name: str) -> dict[str, Any]:
    """Return the keyword argument ``sample_weight`` of ``fit``; empty where there are no weights.

    Args:
        estimator: unfitted estimator; the weights of a pipeline are those of its last step.
        sample_weight: weights (N,) or None.
        name: name of the argument for error messages.

    Raises:
        ConfigurationError: ``fit`` of the estimator, or of one that it wraps, has no ``sample_weight``.
    """
    if sample_weight is None:
        return {}
    key, inner = "sample_weight", estimator
    if isinstance(estimator, Pipeline):
        step, inner = estimator.steps[-1]
        key = f"{step}__sample_weight"
    while inner is not None:
        if not has_fit_parameter(inner, "sample_weight"):
            raise ConfigurationError(
                f"{name}: fit of {type(inner).__name__} has no sample_weight; remove the weights, or use another {name}"
            )
        inner = getattr(inner, "estimator", None)
    return {key: sample_weight}


def takes_raw_columns(teacher: Any) -> bool:
    """Return whether a teacher receives the columns of a table as they are, without one-hot encoding.

    A pipeline, a fitted model, and one whose ``categorical_features`` are names, positions or a mask.
    """
    if isinstance(teacher, Pipeline) or is_fitted(teacher):
        return True
    categorical = getattr(teacher, "categorical_features", None)
    return categorical is not None and not isinstance(categorical, str)  # the text "from_dtype" is the default


def is_fitted(model: Any) -> bool:
    """Return whether a model can predict without ``fit``."""
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    except TypeError:  # raised for a model without fit, such as a StudentClassifier
        return bool(getattr(model, "__sklearn_is_fitted__", lambda: True)())
    return True
