"""Writing ``.npz`` files, also those that do not fit in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write


class ChunkedArray(NamedTuple):
    """An array that comes in pieces because the whole would fill the memory.

    Attributes:
        shape: shape of the whole.
        dtype: its element type.
        pieces: consecutive parts along the first axis, which together have ``shape``.
    """

    shape: tuple[int, ...]
    dtype: type[np.generic]
    pieces: Iterable[NDArray[Any]]


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any] | ChunkedArray]) -> None:
    """Write an uncompressed ``.npz`` file that appears under its name only when it is complete.

    Args:
        path: the file; its folder exists.
        arrays: what to store, by name.

    Raises:
        ConfigurationError: the folder cannot be written to or is full.
    """
    try:
        with atomic_write(path, "wb") as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
            for name, array in arrays.items():
                _write_array(archive, name, array)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be written ({error.strerror}): make room and grant access, or name another place"
        ) from error


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any] | ChunkedArray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        if isinstance(array, np.ndarray):
            np.lib.format.write_array(file, array, allow_pickle=False)
            return
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(array.dtype)),
            "fortran_order": False,
            "shape": array.shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for piece in array.pieces:
            file.write(np.ascontiguousarray(piece, dtype=array.dtype).data)
