"""Input arrays and output files of exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an ``OSError`` in the block to a ConfigurationError that names the file.

    Raises:
        ConfigurationError: the block raised ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    with writing(path), atomic_write(path, "wb") as file:
        file.write(content)


def to_samples(X: ArrayLike, n_features: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Convert samples to a contiguous array and validate their shape (N, n_features).

    Args:
        X: samples.
        n_features: expected number of features.
        dtype: type of the array (default: float32).

    Raises:
        ConfigurationError: the shape is another one.

    Example:
        >>> to_samples([[1, 2]], 2).tolist()
        [[1.0, 2.0]]
    """
    samples = np.ascontiguousarray(X, dtype=dtype)
    if samples.ndim != 2 or samples.shape[1] != n_features:
        raise ConfigurationError(f"X: got shape {samples.shape}, expected (N, {n_features})")
    return samples
