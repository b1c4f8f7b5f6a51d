"""Classifier interface for a fitted student: a regressor of class probabilities, or a classifier of integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import validate_data

from ganmc_lightning.tabular.teacher import is_fitted


class ArgmaxClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base class of classifiers that predict the class of highest ``predict_proba``."""

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the most probable class (N,) of samples (N, D)."""
        best = self.predict_proba(X).argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[best]
        return predicted


class StudentClassifier(ArgmaxClassifier):
    """Classifier that predicts with a fitted regressor of class probabilities, or with a classifier of codes.

    It contains no reference to the teacher and has no ``fit``.
    :class:`~ganmc_lightning.tabular.DistilledClassifier` creates it.

    Args:
        regressor: fitted regressor, which predicts P(y = second class) for two classes and one column per class for
            more; or a classifier fitted to the integers 0..K-1, such as boosting on soft targets.
        classes: class labels (K,), in the order of the columns.
        feature_names: names of the features (D,), or None (default).

    Attributes:
        classes_: class labels (K,).
        n_features_in_: number of features D.
        feature_names_in_: names of the features (D,), or None.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> regressor = DecisionTreeRegressor().fit([[0.0], [1.0]], [0.1, 0.75])
        >>> student = StudentClassifier(regressor, ["no", "yes"])
        >>> student.predict_proba([[1.0]]).tolist(), student.predict([[1.0]]).tolist()
        ([[0.25, 0.75]], ['yes'])
    """

    def __init__(self, regressor: Any, classes: ArrayLike, feature_names: ArrayLike | None = None) -> None:
        self.regressor = regressor
        self.classes = classes
        self.feature_names = feature_names

    def __sklearn_is_fitted__(self) -> bool:
        return is_fitted(self.regressor)

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels (K,), in the order of the probabilities."""
        return np.asarray(self.classes)

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return int(self.regressor.n_features_in_)

    @property
    def feature_names_in_(self) -> NDArray[Any] | None:
        """Names of the features (D,), or None."""
        return None if self.feature_names is None else np.asarray(self.feature_names, dtype=object)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of samples (N, D)."""
        finite = "allow-nan" if get_tags(self.regressor).input_tags.allow_nan else True
        return student_probabilities(self.regressor, validate_data(self, X, reset=False, ensure_all_finite=finite))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.regressor).input_tags.allow_nan
        return tags


def student_probabilities(student: Any, X: NDArray[Any]) -> NDArray[np.float64]:
    """Predict class probabilities (N, K) with a fitted regressor of probabilities, or with a classifier."""
    if is_classifier(student):
        probabilities: NDArray[np.float64] = np.asarray(student.predict_proba(X), dtype=np.float64)
        return probabilities
    return to_probabilities(student.predict(X))


def to_targets(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert probabilities to regression targets (GAN-MC section 4): P(y = 1) (N,) for two classes, else (N, K)."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def to_probabilities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert predictions of a regressor to probabilities: clip to [0, 1] and normalize.

    Args:
        values: (N,) for two classes, (N, K) for more. Regressors that extrapolate, such as gradient boosting, may
            leave [0, 1].

    Returns:
        float64 (N, K), rows that sum to 1; uniform where no value is positive.

    Example:
        >>> to_probabilities(np.array([0.25, 1.5])).tolist()
        [[0.75, 0.25], [0.0, 1.0]]
        >>> to_probabilities(np.array([[3.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])).round(2).tolist()
        [[0.5, 0.5, 0.0], [0.33, 0.33, 0.33]]
    """
    clipped = np.clip(np.asarray(values, dtype=np.float64), 0, 1)
    if clipped.ndim == 1:
        return np.stack([1 - clipped, clipped], axis=1)
    # accumulate, not sum: exported C adds in this order, NumPy's sum of 8 or more values in another
    total = np.add.accumulate(clipped, axis=1)[:, -1:]
    shares: NDArray[np.float64] = np.where(total > 0, clipped / np.where(total > 0, total, 1), 1 / clipped.shape[1])
    return shares
