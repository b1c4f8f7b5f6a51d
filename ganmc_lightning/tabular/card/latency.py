"""Prediction time of one row and of a batch, in Python and of compiled C."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export import CModel, FixedPointReport, ObjectSize, compile_c, measure_object
from ganmc_lightning.tabular.profiling import BATCH, time_call

ROW_CALLS, BATCH_CALLS = 20, 3
MAX_ROW_SECONDS = 1.0
"""Calls of one row are repeated for at most this time."""
T = TypeVar("T")


class Latency(NamedTuple):
    """Prediction time.

    Attributes:
        row: seconds for one row, the minimum of up to 20 calls.
        batch: seconds for a batch, the minimum of 3 calls.
        batch_rows: number of rows of the batch.
    """

    row: float
    batch: float
    batch_rows: int


class CompiledStudent(NamedTuple):
    """Size and speed of a student in C; None for what cannot be measured.

    Attributes:
        size: bytes of the object file, compiled with ``-Os``.
        latency: time of the shared library, called from Python.
        rounded: errors of the student in 16-bit integers.
        rounded_size: bytes of its object file, without floating-point predictions.
        notes: what is not measured, with the reason.
    """

    size: ObjectSize | None
    latency: Latency | None
    rounded: FixedPointReport | None
    rounded_size: ObjectSize | None
    notes: tuple[str, ...]


def measure_latency(predict: Callable[[Any], object], X: Any) -> Latency:
    """Time predictions of the first row and of 5,000 rows, which are repeated where there are fewer.

    Args:
        predict: function of rows.
        X: rows (N, D), data frame or array.

    Example:
        >>> measure_latency(lambda rows: rows.sum(axis=1), np.ones((10, 2))).batch_rows
        5000
    """
    index = np.arange(BATCH) % len(X)
    batch, row = (X.iloc[index], X.iloc[:1]) if hasattr(X, "iloc") else (X[index], X[:1])
    first = time_call(predict, row)  # the first call may also load code
    calls = max(1, min(ROW_CALLS, int(MAX_ROW_SECONDS / max(first, 1e-9))))
    return Latency(
        min(time_call(predict, row) for _ in range(calls)),
        min(time_call(predict, batch) for _ in range(BATCH_CALLS)),
        BATCH,
    )


def measure_compiled(source: Path | None, rounded: FixedPointReport | None, X: NDArray[np.float64]) -> CompiledStudent:
    """Compile an exported student; each part whose source or program is missing is None.

    Args:
        source: ``.c`` file of :func:`~ganmc_lightning.tabular.export.to_c`, or None.
        rounded: result of :func:`~ganmc_lightning.tabular.export.to_c_int16`, or None.
        X: encoded rows (N, E) to predict.
    """
    failed: dict[str, list[str]] = {}
    latency = size = rounded_size = None
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # the library is not one of the exported files

        def attempt(part: str, measure: Callable[[], T]) -> T | None:
            try:
                return measure()
            except ConfigurationError as error:
                failed.setdefault(str(error).replace(f"{folder}{os.sep}", ""), []).append(part)
                return None

        if source is not None:
            exact = _copy(source, folder)
            latency = attempt("time", lambda: _measure_library(exact, X))
            size = attempt("size", lambda: measure_object(exact))
        if rounded is not None:
            integers = _copy(rounded.path, folder)
            flags = [f"-D{integers.stem.upper()}_NO_DOUBLE"]
            rounded_size = attempt("size of 16-bit integers", lambda: measure_object(integers, flags))
    notes = (f"C: not measured: {', '.join(parts)} ({reason})" for reason, parts in failed.items())
    return CompiledStudent(size, latency, rounded, rounded_size, tuple(notes))


def _copy(source: Path, folder: str) -> Path:
    """Copy a ``.c`` file and its header; return the path of the copy."""
    shutil.copy(source.with_suffix(".h"), folder)
    return Path(shutil.copy(source, folder))


def _measure_library(source: Path, X: NDArray[np.float64]) -> Latency:
    compiled = CModel(compile_c(source))
    return measure_latency(compiled.predict, X.astype(compiled.dtype))
