"""Histogram gradient boosting: binning of weighted rows in little time, and small pickled models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

BINS = 255
"""Largest number of bins of scikit-learn's histogram gradient boosting."""


def round_to_quantiles(X: NDArray[Any], bins: int = BINS) -> NDArray[Any]:
    """Round each value to the nearest of ``bins`` quantiles of its column; NaN and columns of few values are kept.

    With sample weights, scikit-learn sorts a column once per bin to find its thresholds. For a column of at most 255
    values it takes the midpoints, which are here the limits between the nearest quantiles: the fitted trees divide
    the rounded and the original values equally.

    Args:
        X: samples (N, D).
        bins: number of quantiles, at least 2 (default: 255).

    Example:
        >>> round_to_quantiles(np.array([[0.0], [1.0], [4.0], [9.0]]), bins=3)[:, 0].tolist()
        [0.0, 0.0, 2.5, 9.0]
    """
    rounded = X.copy()
    for column in range(X.shape[1]):
        present = ~np.isnan(X[:, column])
        values = X[present, column]
        if len(np.unique(values)) > bins:
            quantiles = np.unique(np.quantile(values, np.linspace(0, 1, bins)).astype(X.dtype))
            limits = (quantiles[1:] + quantiles[:-1]) / 2
            rounded[present, column] = quantiles[np.searchsorted(limits, values)]
    return rounded


def is_histogram_boosting(model: Any) -> bool:
    """Return whether a model is scikit-learn's histogram gradient boosting."""
    return isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor)


def drop_bin_thresholds(model: Any) -> Any:
    """Remove the limits of the training bins of columns of numbers from fitted histogram boosting, in place.

    The trees contain the thresholds that prediction compares with; the limits are used in ``fit`` only, and are most
    of the pickled bytes of a small model: 2 kB per column.

    Args:
        model: fitted model; one with categorical columns or of another class is returned unchanged.

    Example:
        >>> X = np.linspace(0, 1, 200)[:, None]
        >>> model = HistGradientBoostingRegressor(max_iter=3).fit(X, X[:, 0] > 0.5)
        >>> before = model.predict(X)
        >>> bool(np.array_equal(drop_bin_thresholds(model).predict(X), before))
        True
    """
    if is_histogram_boosting(model) and model.is_categorical_ is None:
        mapper = model._bin_mapper
        mapper.bin_thresholds_ = [np.empty(0) for _ in mapper.bin_thresholds_]
    return model
