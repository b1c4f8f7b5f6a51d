"""The classifier that is to be compressed: fitted or not, of whatever library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ganmc_lightning.exceptions import ConfigurationError

TEACHER_TREES = 500
"""Trees of the paper's teacher."""


@dataclass(frozen=True)
class Teacher:
    """A fitted classifier.

    Attributes:
        model: the classifier.
        classes: its classes, in the order of its probabilities.
        names: names of the columns it was fitted with, or None.
    """

    model: Any
    classes: NDArray[Any]
    names: Sequence[str] | None

    def presented(self, rows: NDArray[Any]) -> Any:
        """Rows (N, D) as the classifier knows them: a data frame where it was fitted to one."""
        if self.names is None:
            return rows
        from pandas import DataFrame

        return DataFrame(rows, columns=list(self.names))

    def probabilities(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (N, K) of rows (N, D).

        Raises:
            ConfigurationError: there is not one column a class.
        """
        answers = np.asarray(self.model.predict_proba(self.presented(rows)), dtype=np.float64)
        if answers.shape != (len(rows), len(self.classes)):
            raise ConfigurationError(
                f"teacher: predict_proba of {type(self.model).__name__} has shape {answers.shape} where "
                f"({len(rows)}, {len(self.classes)}) is due, one column a class"
            )
        return answers


def fit_teacher(
    teacher: Any,
    rows: NDArray[Any],
    labels: NDArray[Any],
    seed: int,
    names: Sequence[str] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Teacher:
    """Take a fitted classifier as it is; copy and fit another.

    Args:
        teacher: classifier with ``predict_proba``; None for the paper's random forest.
        rows: training rows (N, D).
        labels: their classes (N,), of any type.
        seed: for a classifier to be fitted that has no ``random_state`` of its own.
        names: names of the columns of ``rows``, if they have any.
        weights: of the rows (N,), for a classifier to be fitted; None where all count alike.

    Raises:
        ConfigurationError: it is no such classifier, was fitted to other columns or classes, or takes no weights.
    """
    teacher = RandomForestClassifier(TEACHER_TREES) if teacher is None else teacher
    kind = type(teacher).__name__
    if not callable(getattr(teacher, "predict_proba", None)):
        raise ConfigurationError(
            f"teacher: {kind} has no predict_proba: choose a classifier that answers with probabilities"
        )
    if not is_fitted(teacher):
        unfitted = seeded(clone(teacher), seed)
        frame = Teacher(unfitted, np.empty(0), names).presented(rows)
        unfitted.fit(frame, labels, **weights_for(unfitted, weights, "teacher"))
        return Teacher(unfitted, np.asarray(unfitted.classes_), names)
    # Those of scikit-learn's manners say what they were fitted to; others are asked and judged by their answer.
    columns, own_names = getattr(teacher, "n_features_in_", None), getattr(teacher, "feature_names_in_", None)
    if columns is not None and columns != rows.shape[1]:
        raise ConfigurationError(
            f"teacher: {kind} was fitted to {columns} columns, X has {rows.shape[1]}: give it the same"
        )
    if own_names is not None and names is not None and list(own_names) != list(names):
        differing = next(pair for pair in zip(own_names, names, strict=True) if pair[0] != pair[1])
        raise ConfigurationError(
            f"teacher: {kind} was fitted to other columns: {differing[0]!r} where X has {differing[1]!r}"
        )
    present = np.unique(labels)
    classes = np.asarray(getattr(teacher, "classes_", present))
    unknown = np.setdiff1d(present, classes)
    if len(unknown):
        raise ConfigurationError(
            f"teacher: {kind} does not know the class {unknown.tolist()[0]!r} of y; it knows {classes.tolist()}"
        )
    return Teacher(teacher, classes, None if own_names is None else list(own_names))


def seeded(estimator: Any, seed: int) -> Any:
    """Set every ``random_state`` of an estimator that is None, and return it."""
    states = {
        key: int(seed)
        for key, value in estimator.get_params().items()
        if key.rpartition("__")[2] == "random_state" and value is None
    }
    return estimator.set_params(**states)


def weights_for(estimator: Any, weights: NDArray[np.float64] | None, name: str) -> dict[str, Any]:
    """Keyword arguments of ``fit`` that hand the weights of rows over; none where all count alike.

    Args:
        estimator: to be fitted.
        weights: (N,) or None.
        name: what a message calls the estimator.

    Raises:
        ConfigurationError: the estimator, or the one it wraps, takes no weights.
    """
    if weights is None:
        return {}
    inner = estimator
    while inner is not None:
        if not has_fit_parameter(inner, "sample_weight"):
            raise ConfigurationError(
                f"{name}: {type(inner).__name__} takes no sample_weight: choose an estimator whose fit does, or leave "
                "the weights out"
            )
        inner = getattr(inner, "estimator", None)
    return {"sample_weight": weights}


def is_fitted(teacher: Any) -> bool:
    """Whether a classifier needs no ``fit`` any more."""
    try:
        check_is_fitted(teacher)
    except NotFittedError:
        return False
    except TypeError:  # it has no fit at all: a trained network, or a student
        return True
    return True
