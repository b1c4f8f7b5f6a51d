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
from ganmc_lightning.tabular.export import (
    CModel,
    FixedPointReport,
    ObjectSize,
    compile_c,
    measure_object,
    to_c,
    to_c_int16,
)
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


def measure_student(student: Any, X: NDArray[np.float64], X_train: NDArray[np.float64]) -> CompiledStudent:
    """Export a student to a temporary folder and compile it; each part that is not supported is None.

    Args:
        student: fitted student of encoded columns.
        X: encoded rows (N, E) to predict.
        X_train: encoded training rows (M, E), to round the student to 16-bit integers.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        attempt = _Attempts(folder)
        source = attempt("time and size", lambda: to_c(student, Path(folder, "student.c")))
        rounded = attempt("16-bit integers", lambda: to_c_int16(student, Path(folder, "student_int16.c"), X_train))
        compiled = measure_compiled(source, rounded, X)
    return compiled._replace(notes=(*attempt.notes, *compiled.notes))


def measure_compiled(source: Path | None, rounded: FixedPointReport | None, X: NDArray[np.float64]) -> CompiledStudent:
    """Compile an exported student; each part whose source or program is missing is None.

    Args:
        source: ``.c`` file of :func:`~ganmc_lightning.tabular.export.to_c`, or None.
        rounded: result of :func:`~ganmc_lightning.tabular.export.to_c_int16`, or None.
        X: encoded rows (N, E) to predict.
    """
    latency = size = rounded_size = None
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # the library is not one of the exported files
        attempt = _Attempts(folder)
        if source is not None:
            exact = _copy(source, folder)
            latency = attempt("time", lambda: _measure_library(exact, X))
            size = attempt("size", lambda: measure_object(exact))
        if rounded is not None:
            integers = _copy(rounded.path, folder)
            flags = [f"-D{integers.stem.upper()}_NO_DOUBLE"]
            rounded_size = attempt("size of 16-bit integers", lambda: measure_object(integers, flags))
    return CompiledStudent(size, latency, rounded, rounded_size, attempt.notes)


class _Attempts:
    """Calls functions that export or measure a part, and collects the reasons of those that fail."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._failed: dict[str, list[str]] = {}

    def __call__(self, part: str, function: Callable[[], T]) -> T | None:
        try:
            return function()
        except ConfigurationError as error:
            reason = str(error).replace(f"{self._folder}{os.sep}", "")
            self._failed.setdefault(reason, []).append(part)
            return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not measured, with the reason."""
        return tuple(f"C: not measured: {', '.join(parts)} ({reason})" for reason, parts in self._failed.items())


def _copy(source: Path, folder: str) -> Path:
    """Copy a ``.c`` file and its header; return the path of the copy."""
    shutil.copy(source.with_suffix(".h"), folder)
    return Path(shutil.copy(source, folder))


def _measure_library(source: Path, X: NDArray[np.float64]) -> Latency:
    compiled = CModel(compile_c(source))
    return measure_latency(compiled.predict, X.astype(compiled.dtype))
