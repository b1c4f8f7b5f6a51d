"""Write ``.npz`` files, including arrays that do not fit into memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.io.atomic import atomic_write


class ChunkedArray(NamedTuple):
    """An array in chunks, which does not have to fit into memory.

    Attributes:
        shape: shape of the whole array.
        dtype: element type.
        chunks: consecutive slices along the first axis.
    """

    shape: tuple[int, ...]
    dtype: type[np.generic]
    chunks: Iterable[NDArray[Any]]


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any] | ChunkedArray]) -> None:
    """Write an uncompressed ``.npz`` file atomically.

    Args:
        path: the file; its folder is created if necessary.
        arrays: arrays by name.

    Raises:
        ConfigurationError: the folder is not writable, or the disk is full.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.npz"
        >>> write_npz(path, {"x": ChunkedArray((2, 3), np.float64, (np.full((1, 3), k) for k in range(2)))})
        >>> np.load(path)["x"].tolist()
        [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    with atomic_write(path, "wb") as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            _write_array(archive, name, array)


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
        for chunk in array.chunks:
            file.write(np.ascontiguousarray(chunk, dtype=array.dtype).data)
