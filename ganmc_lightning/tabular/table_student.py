"""Students of tables with categorical columns: an encoder and a student of encoded columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags, get_tags

from ganmc_lightning.tabular.encoding import encode_rows
from ganmc_lightning.tabular.student import ArgmaxClassifier


class _TableStudent(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    def __init__(self, encoder: Any, student: Any) -> None:
        self.encoder = encoder
        self.student = student

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.student).input_tags.allow_nan
        tags.input_tags.categorical = True
        return tags

    @property
    def n_features_in_(self) -> int:
        """Number of columns of the table."""
        return int(self.encoder.n_features_in_)

    def _encode(self, X: Any) -> Any:
        """Return encoded rows, as a data frame for a student with names of columns."""
        encoded, names = encode_rows(self.encoder, X), getattr(self.student, "feature_names_in_", None)
        if names is None:
            return encoded
        from pandas import DataFrame

        return DataFrame(encoded, columns=list(names))


class TableClassifier(ArgmaxClassifier, _TableStudent):
    """Classifier of rows with categories.

    Args:
        encoder: fitted encoder, see :func:`~ganmc_lightning.tabular.encoding.fit_encoder`.
        student: fitted classifier of encoded rows (N, E).

    Attributes:
        classes_: class labels (K,).
        n_features_in_: number of columns D of the table.
    """

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels (K,), in the order of the probabilities."""
        return np.asarray(self.student.classes_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of rows (N, D), data frame or object array."""
        return np.asarray(self.student.predict_proba(self._encode(X)), dtype=np.float64)


class TableRegressor(RegressorMixin, _TableStudent):  # type: ignore[misc]  # scikit-learn has no types
    """Regressor of rows with categories.

    Args:
        encoder: fitted encoder, see :func:`~ganmc_lightning.tabular.encoding.fit_encoder`.
        student: fitted regressor of encoded rows (N, E).

    Attributes:
        n_features_in_: number of columns D of the table.
    """

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict values (N,) of rows (N, D), data frame or object array."""
        return np.asarray(self.student.predict(self._encode(X)), dtype=np.float64).ravel()
