"""Weights of samples, checked without PyTorch, which plain forests do not load."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError


def check_weights(weights: NDArray[Any], labels: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Check the weights of samples.

    Args:
        weights: numbers (N,), finite, none negative.
        labels: classes (N,) of the samples.
        where: what to call the weights in a message.

    Returns:
        float64 (N,).

    Raises:
        ConfigurationError: wrong dtype or shape, a value out of range, or a class without weight.

    Example:
        >>> check_weights(np.array([1, 3]), np.array([0, 1]), "sample_weight")
        array([1., 3.])
    """
    if weights.dtype.kind not in "fiub":
        raise ConfigurationError(f"{where} has dtype {weights.dtype}: weights must be numbers")
    if weights.shape != labels.shape:
        raise ConfigurationError(
            f"{where} has shape {weights.shape}, the labels {labels.shape}: give one weight a sample"
        )
    values: NDArray[np.float64] = weights.astype(np.float64)
    wrong = values[~(np.isfinite(values) & (values >= 0))]
    if len(wrong):
        raise ConfigurationError(f"{where} has {wrong[0]}: weights must be finite and at least 0")
    for label in np.unique(labels):
        if not values[labels == label].any():
            raise ConfigurationError(
                f"{where} is zero for all samples of class {label}: give one of them a weight, or leave it out"
            )
    return values
