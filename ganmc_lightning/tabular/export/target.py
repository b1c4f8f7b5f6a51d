"""Input arrays and output files of exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def to_float32(X: ArrayLike, n_features: int) -> NDArray[np.float32]:
    """Convert samples to a contiguous float32 array and validate their shape (N, n_features).

    Raises:
        ConfigurationError: the shape is another one.
    """
    samples = np.ascontiguousarray(X, dtype=np.float32)
    if samples.ndim != 2 or samples.shape[1] != n_features:
        raise ConfigurationError(f"X: got shape {samples.shape}, expected (N, {n_features})")
    return samples
