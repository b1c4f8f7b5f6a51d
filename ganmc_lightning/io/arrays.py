"""Reading ``.npz`` files that others wrote: every array is checked, every message names it and the fix."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.class_names import normalize_name
from ganmc_lightning.io.pixel_range import check_bytes, not_bytes

_MAX_CHANNELS = 4
_MAX_WHOLE = 2.0**53  # floats beyond it (and NaN, by comparison) name no integer


def list_arrays(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an ``.npz`` file without reading any.

    Raises:
        ConfigurationError: there is no such file, or it is no ``.npz`` file.
    """
    with _open(path) as archive:
        return tuple(archive.files)


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Read one array of an ``.npz`` file; pickled objects are never loaded.

    Raises:
        ConfigurationError: the file is missing or damaged, has no such array, or holds Python objects under it.
    """
    with _open(path) as archive:
        if name not in archive.files:
            held = ", ".join(archive.files) or "nothing"
            raise ConfigurationError(f"{path}: has no array {name} (it holds {held}): add it with numpy.savez")
        try:
            array = archive[name]
        except Exception as error:  # for damaged bytes, numpy, zipfile and the decompressors raise many types
            if "allow_pickle" in str(error):
                raise ConfigurationError(
                    f"{path}: {name} holds pickled Python objects, which are not loaded because they could "
                    "run code: save it as a plain number array"
                ) from error
            reason = "too large for the memory" if isinstance(error, MemoryError) else "damaged"
            raise ConfigurationError(f"{path}: {name} is {reason} ({_first_line(error)}): replace the file") from error
    if not isinstance(array, np.ndarray):
        raise ConfigurationError(f"{path}: {name} is not a numpy array: write the file with numpy.savez")
    return array


def read_class_names(path: Path, num_classes: int) -> tuple[str, ...]:
    """Read the array ``class_names`` of an ``.npz`` file, in Unicode's composed form.

    Args:
        path: the file; it holds the array.
        num_classes: K, the number of names that there must be.

    Raises:
        ConfigurationError: it does not hold K different strings.
    """
    names = read_array(path, "class_names")
    if names.dtype.kind != "U" or names.shape != (num_classes,):
        raise ConfigurationError(
            f"{path}: class_names has dtype {names.dtype} and shape {names.shape}: "
            f"it must hold {num_classes} strings, one a class"
        )
    found = tuple(normalize_name(str(name)) for name in names)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ConfigurationError(f"{path}: class_names has {twice!r} twice: give each class a name of its own")
    return found


@contextmanager
def _open(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file: check the name and the folder")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}): grant access or name another file"
        ) from error
    with file:  # numpy would leave it open where the archive is damaged
        yield _archive_in(file, path)


def _archive_in(file: BinaryIO, path: Path) -> np.lib.npyio.NpzFile:
    # numpy would also read a lone .npy array, or take a text file for a pickle.
    if not zipfile.is_zipfile(file):
        raise ConfigurationError(f"{path}: is no .npz file, or only a part of one: replace it")
    file.seek(0)
    if file.read(2) != b"PK":  # zipfile finds an archive behind other bytes, numpy does not
        raise ConfigurationError(f"{path}: has other bytes before the archive: write it again with numpy.savez")
    file.seek(0)
    try:
        archive: np.lib.npyio.NpzFile = np.load(file, allow_pickle=False)
    except Exception as error:  # zipfile raises many types for damaged directories
        raise ConfigurationError(f"{path}: cannot be read ({_first_line(error)}): replace it") from error
    return archive


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def to_image_tensor(images: NDArray[Any], where: str) -> Tensor:
    """Check stored images and bring them into the layout of the stream.

    Args:
        images: uint8 (N, H, W, C), 1 to 4 channels, in the range [0, 255].
        where: what to call the array in a message, ``file: name``.

    Returns:
        Contiguous uint8 (N, C, H, W).

    Raises:
        ConfigurationError: wrong dtype, range or shape, or no image at all.

    Example:
        >>> to_image_tensor(np.zeros((2, 8, 8, 3), np.uint8), "demo.npz: images").shape
        torch.Size([2, 3, 8, 8])
    """
    if images.dtype != np.uint8:
        raise not_bytes(images, where)
    if images.ndim == 3:
        raise ConfigurationError(f"{where} has shape {images.shape}: add the channel axis, images[..., None]")
    if images.ndim != 4 or not 1 <= images.shape[3] <= _MAX_CHANNELS:
        raise ConfigurationError(
            f"{where} has shape {images.shape}: images must be (N, H, W, C) with at most {_MAX_CHANNELS} "
            "channels, which come last"
        )
    if images.size == 0:
        raise ConfigurationError(f"{where} is empty, shape {images.shape}: give at least one image")
    return check_bytes(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), where)


def to_row_tensor(rows: NDArray[Any], where: str) -> Tensor:
    """Check stored rows of numbers.

    Args:
        rows: integers or floats (N, D).
        where: what to call the array in a complaint, ``file: name``.

    Returns:
        float64 (N, D): timestamps and identifiers keep their differences until they are centered.

    Raises:
        ConfigurationError: wrong dtype or shape, no row or column at all, a value that is not finite in float32, or a
            whole number that float64 would round.
    """
    if rows.dtype.kind not in "fiub":
        raise ConfigurationError(f"{where} has dtype {rows.dtype}: rows must be numbers")
    if rows.ndim != 2:
        raise ConfigurationError(f"{where} has shape {rows.shape}: rows must be (N, D)")
    if rows.size == 0:
        raise ConfigurationError(f"{where} is empty, shape {rows.shape}: give at least one row and one column")
    with np.errstate(over="ignore"):  # what overflows is reported below
        finite = np.isfinite(rows.astype(np.float32))
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ConfigurationError(
            f"{where} has {rows[row, column]} in row {row}, column {column}, which is no finite float32: "
            "fill it in or leave the row out"
        )
    values = np.ascontiguousarray(rows, dtype=np.float64)
    if rows.dtype.kind in "iu" and (rounded := rounded_integers(rows)).any():
        row, column = np.argwhere(rounded)[0]
        raise ConfigurationError(
            f"{where} has {rows[row, column]} in row {row}, column {column}, which float64 rounds: subtract the least "
            "value from the column, or leave it out"
        )
    return torch.from_numpy(values)


def rounded_integers(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which integers float64 cannot hold.

    Example:
        >>> rounded_integers(np.array([5, 2**53 + 1, 2**53 + 2]))
        array([False,  True, False])
    """
    floats = values.astype(np.float64)
    rounded = np.abs(floats) >= _MAX_WHOLE
    pairs = zip(values[rounded].tolist(), floats[rounded].tolist(), strict=True)
    rounded[rounded] = [whole != int(number) for whole, number in pairs]
    return rounded


def to_label_tensor(labels: NDArray[Any], where: str) -> Tensor:
    """Check stored class labels.

    Args:
        labels: integers, or floats that are whole numbers, (N,), none negative.
        where: what to call the array in a complaint, ``file: name``.

    Returns:
        int64 (N,).

    Raises:
        ConfigurationError: wrong dtype or shape, a fraction, NaN or a negative label.

    Example:
        >>> to_label_tensor(np.array([1.0, 0.0]), "demo.npz: labels")
        tensor([1, 0])
    """
    if labels.dtype.kind not in "fiub":
        raise ConfigurationError(f"{where} has dtype {labels.dtype}: labels must be the integers 0..K-1")
    if labels.ndim != 1:
        raise ConfigurationError(f"{where} has shape {labels.shape}: labels must be (N,), one class number a sample")
    if labels.dtype.kind == "f" and not ((np.abs(labels) < _MAX_WHOLE) & (labels == np.round(labels))).all():
        raise ConfigurationError(f"{where} has labels that are no whole numbers: labels must be 0..K-1")
    whole = labels.astype(np.int64)
    if len(whole) and whole.min() < 0:
        raise ConfigurationError(f"{where} has the negative label {whole.min()}: number the classes 0..K-1")
    return torch.from_numpy(whole)


def check_same_length(inputs: Tensor, labels: Tensor, where: str) -> None:
    """Refuse inputs and labels that do not pair up.

    Raises:
        ConfigurationError: their lengths differ.
    """
    if len(inputs) != len(labels):
        raise ConfigurationError(f"{where} has {len(labels)} labels for {len(inputs)} samples: give one label a sample")


def infer_num_classes(labels: Tensor, where: str) -> int:
    """Return K, after checking that every one of the labels 0..K-1 occurs.

    Args:
        labels: int64 (N,), not negative, N at least 1.
        where: what to call the array in a complaint, ``file: name``.

    Raises:
        ConfigurationError: a class has no sample.
    """
    present: Tensor = torch.unique(labels)  # not bincount: one wild label must not claim gigabytes
    num_classes = int(present[-1]) + 1
    if len(present) != num_classes:
        gaps = torch.arange(len(present))[present != torch.arange(len(present))]
        raise ConfigurationError(
            f"{where} has no sample of class {int(gaps[0])} though labels go up to {num_classes - 1}: "
            "number the classes 0..K-1 without gaps"
        )
    return num_classes


def check_label_range(labels: Tensor, num_classes: int, where: str) -> None:
    """Refuse labels of classes that the training part does not have.

    Raises:
        ConfigurationError: a label is ``num_classes`` or more.
    """
    if len(labels) and int(labels.max()) >= num_classes:
        raise ConfigurationError(
            f"{where} has label {int(labels.max())}, but the training labels stop at {num_classes - 1}: "
            "a test class must occur in training"
        )
