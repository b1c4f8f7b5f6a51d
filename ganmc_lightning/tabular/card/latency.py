"""Prediction time of one row and of a batch, in Python and of compiled C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.encoding import encode_rows
from ganmc_lightning.tabular.export import CModel, ObjectSize, compile_c, measure_object, to_c
from ganmc_lightning.tabular.profiling import BATCH, time_call

ROW_CALLS, BATCH_CALLS = 20, 3
MAX_ROW_SECONDS = 1.0
"""Calls of one row are repeated for at most this time."""


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
    """Size and speed of a student in C.

    Attributes:
        size: bytes of the object file, compiled with ``-Os``.
        latency: time of the shared library, called from Python.
    """

    size: ObjectSize
    latency: Latency


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


def measure_compiled(student: Any, encoder: Any, X: Any) -> CompiledStudent | None:
    """Compile a student; None where there is no C compiler or C export does not support the student.

    Args:
        student: fitted student of encoded columns.
        encoder: encoder of the categorical columns, or None; its time is not measured.
        X: rows (N, D) of the table.
    """
    encoded: NDArray[Any] = np.asarray(X, dtype=np.float64) if encoder is None else encode_rows(encoder, X)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            source = to_c(student, Path(folder, "student.c"))
            compiled = CModel(compile_c(source))
            size = measure_object(source)
        except ConfigurationError:
            return None
        return CompiledStudent(size, measure_latency(compiled.predict, encoded.astype(compiled.dtype)))
