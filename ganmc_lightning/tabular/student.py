"""A regressor of class probabilities as a classifier: what is left when the teacher is gone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import validate_data


class StudentClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted student that answers with probabilities and classes; it holds nothing of its teacher.

    It is fitted as it comes; :class:`~ganmc_lightning.tabular.ForestCompressor` makes it.

    Args:
        regressor: fitted; predicts P(y = second class) for two classes, one column a class for more.
        classes: the classes, in the order of the columns.
        feature_names: names of the columns of a row, or None.
    """

    def __init__(self, regressor: Any, classes: ArrayLike, feature_names: ArrayLike | None = None) -> None:
        self.regressor = regressor
        self.classes = classes
        self.feature_names = feature_names

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, in the order of the probabilities."""
        return np.asarray(self.classes)

    @property
    def n_features_in_(self) -> int:
        """Columns of a row."""
        return int(self.regressor.n_features_in_)

    @property
    def feature_names_in_(self) -> NDArray[Any] | None:
        """Their names, or None."""
        return None if self.feature_names is None else np.asarray(self.feature_names, dtype=object)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities (N, K) of rows (N, D)."""
        return to_probabilities(self.regressor.predict(validate_data(self, X, reset=False)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class (N,) of rows (N, D)."""
        likeliest: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest


def to_targets(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a student regresses (GAN-MC section 4): P(y = 1) of two classes (N,), else all K columns (N, K)."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def to_probabilities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a student's answers into probabilities.

    Args:
        values: (N,) for two classes, (N, K) for more; a student that is no mean of its targets, such as
            gradient boosting, may leave [0, 1].

    Returns:
        (N, K), none negative, rows that sum to 1; equal shares where all values are 0 or less.

    Example:
        >>> to_probabilities(np.array([0.25, 1.5])).tolist()
        [[0.75, 0.25], [0.0, 1.0]]
        >>> to_probabilities(np.array([[3.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])).round(2).tolist()
        [[0.5, 0.5, 0.0], [0.33, 0.33, 0.33]]
    """
    clipped = np.clip(np.asarray(values, dtype=np.float64), 0, 1)
    if clipped.ndim == 1:
        return np.stack([1 - clipped, clipped], axis=1)
    # Summed one after another, as exported C does; NumPy's sum of eight or more has another order.
    total = np.add.accumulate(clipped, axis=1)[:, -1:]
    shares: NDArray[np.float64] = np.where(total > 0, clipped / np.where(total > 0, total, 1), 1 / clipped.shape[1])
    return shares
