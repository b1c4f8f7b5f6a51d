"""Check sample weights, without PyTorch, which random forests do not import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError


def check_weights(weights: NDArray[Any], labels: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Validate sample weights and convert them to float64.

    Args:
        weights: numbers (N,), finite, at least 0.
        labels: classes (N,) of the samples.
        name: file and array, for error messages.

    Returns:
        float64 (N,).

    Raises:
        ConfigurationError: dtype, shape or a value is invalid, or the total weight of a class is 0.

    Example:
        >>> check_weights(np.array([1, 3]), np.array([0, 1]), "sample_weight")
        array([1., 3.])
    """
    if weights.dtype.kind not in "fiub":
        raise ConfigurationError(f"{name}: got dtype {weights.dtype}, expected numbers")
    if weights.shape != labels.shape:
        raise ConfigurationError(
            f"{name}: got shape {weights.shape} for labels of shape {labels.shape}, expected one weight per sample"
        )
    values: NDArray[np.float64] = weights.astype(np.float64)
    wrong = values[~(np.isfinite(values) & (values >= 0))]
    if len(wrong):
        raise ConfigurationError(f"{name}: got {wrong[0]}, expected finite values of at least 0")
    if not values.any():
        raise ConfigurationError(f"{name}: got a weight of zero for every sample, expected a positive one")
    for label in np.unique(labels):
        if not values[labels == label].any():
            raise ConfigurationError(
                f"{name}: got zero for all samples of class {label}, expected a positive weight in each class"
            )
    return values
