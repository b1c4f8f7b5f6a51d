"""Read ``.npz`` files with validation; errors name the file, the array and the expected format."""

from __future__ import annotations

import math
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
from ganmc_lightning.io.archives import check_expansion, first_line, is_archive
from ganmc_lightning.io.class_names import normalize_name
from ganmc_lightning.io.input_files import check_regular_file
from ganmc_lightning.io.pixel_range import check_pixel_range, pixel_range_error

_MAX_CHANNELS = 4
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MAX_WHOLE = 2.0**53  # larger floats do not represent one integer; comparisons with NaN are false


def list_arrays(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an ``.npz`` file without reading the arrays.

    Raises:
        ConfigurationError: the file does not exist, or is not a ``.npz`` file.
    """
    with _open(path) as archive:
        return tuple(archive.files)


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Read one array of a ``.npz`` file; pickled objects are never loaded.

    Raises:
        ConfigurationError: the file is missing or damaged, does not contain the array, or the array contains Python
            objects.
    """
    with _open(path) as archive:
        if name not in archive.files:
            names = ", ".join(archive.files) or "no arrays"
            raise ConfigurationError(f"{path}: got {names}, expected the array {name}")
        try:
            _check_size(archive, name, path)
            array = archive[name]
        except ConfigurationError:
            raise
        except Exception as error:  # numpy, zipfile and the decompressors raise many types on damaged bytes
            if "allow_pickle" in str(error):
                raise ConfigurationError(
                    f"{path}: {name}: got pickled Python objects, which could run code, expected an array of numbers"
                ) from error
            reason = "too large for memory" if isinstance(error, MemoryError) else "damaged"
            raise ConfigurationError(f"{path}: {name}: {reason} ({first_line(error)})") from error
    if not isinstance(array, np.ndarray):
        raise ConfigurationError(f"{path}: {name}: not a numpy array; write the file with numpy.savez")
    return array


def read_class_names(path: Path, num_classes: int) -> tuple[str, ...]:
    """Read the array ``class_names`` of a ``.npz`` file, in Unicode's composed form (NFC).

    Args:
        path: the file.
        num_classes: K, the expected number of names.

    Raises:
        ConfigurationError: the array does not contain K distinct strings.
    """
    names = read_array(path, "class_names")
    if names.dtype.kind != "U" or names.shape != (num_classes,):
        raise ConfigurationError(
            f"{path}: class_names: got dtype {names.dtype} and shape {names.shape}, "
            f"expected {num_classes} strings, one per class"
        )
    found = tuple(normalize_name(str(name)) for name in names)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ConfigurationError(f"{path}: class_names: got {twice!r} twice, expected distinct names")
    return found


@contextmanager
def _open(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    check_regular_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    with file:  # numpy does not close the file if the archive is damaged
        yield _archive_in(file, path)


def _archive_in(file: BinaryIO, path: Path) -> np.lib.npyio.NpzFile:
    # numpy also reads a single .npy array, and other files as pickles.
    if not is_archive(file):
        raise ConfigurationError(f"{path}: not a .npz file, or truncated")
    file.seek(0)
    if file.read(2) != b"PK":  # zipfile accepts an archive after other bytes, numpy does not
        raise ConfigurationError(f"{path}: got other bytes before the archive; write the file with numpy.savez")
    file.seek(0)
    try:
        archive: np.lib.npyio.NpzFile = np.load(file, allow_pickle=False)
    except Exception as error:  # zipfile raises many types on damaged directories
        raise ConfigurationError(f"{path}: cannot be read ({first_line(error)})") from error
    check_expansion(_zip_of(archive), path)
    return archive


def _zip_of(archive: np.lib.npyio.NpzFile) -> zipfile.ZipFile:
    assert archive.zip is not None  # until it is closed
    return archive.zip


def _check_size(archive: np.lib.npyio.NpzFile, name: str, path: Path) -> None:
    """Compare the size that an array's header claims, which numpy allocates, with that of its member."""
    members = _zip_of(archive)
    if f"{name}.npy" not in members.namelist():  # not an array: numpy returns its bytes
        return
    member = members.getinfo(f"{name}.npy")
    with members.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ConfigurationError(f"{path}: {name}: got version {version} of the .npy format, expected (1, 0)")
        shape, _, dtype = _HEADERS[version](file)
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or (claimed > member.file_size and not dtype.hasobject):
        raise ConfigurationError(
            f"{path}: {name}: damaged (shape {shape} of {dtype} has {claimed:,} bytes, its member {member.file_size:,})"
        )


def to_image_tensor(images: NDArray[Any], name: str) -> Tensor:
    """Validate stored images and convert them to channels-first.

    Args:
        images: uint8 (N, H, W, C), 1 to 4 channels, in the range [0, 255].
        name: file and array, for error messages.

    Returns:
        Contiguous uint8 (N, C, H, W).

    Raises:
        ConfigurationError: invalid dtype, range or shape, or no images.

    Example:
        >>> to_image_tensor(np.zeros((2, 8, 8, 3), np.uint8), "demo.npz: images").shape
        torch.Size([2, 3, 8, 8])
    """
    if images.dtype != np.uint8:
        raise pixel_range_error(images, name)
    if images.ndim == 3:
        raise ConfigurationError(
            f"{name}: got shape {images.shape}, expected (N, H, W, C); add the channel axis: images[..., None]"
        )
    if images.ndim != 4 or not 1 <= images.shape[3] <= _MAX_CHANNELS:
        raise ConfigurationError(
            f"{name}: got shape {images.shape}, expected (N, H, W, C) with 1 to {_MAX_CHANNELS} channels, the last axis"
        )
    if images.size == 0:
        raise ConfigurationError(f"{name}: got shape {images.shape}, expected at least one image")
    return check_pixel_range(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), name)


def to_row_tensor(rows: NDArray[Any], name: str) -> Tensor:
    """Validate stored rows and convert them to float64.

    Args:
        rows: integers or floats (N, D).
        name: file and array, for error messages.

    Returns:
        float64 (N, D), because large numbers such as timestamps would lose their differences in float32.

    Raises:
        ConfigurationError: invalid dtype or shape, no rows or columns, a value that is not finite in float32, or an
            integer that float64 would round.

    Example:
        >>> to_row_tensor(np.array([[1, 2]]), "demo.npz: X")
        tensor([[1., 2.]], dtype=torch.float64)
    """
    if rows.dtype.kind not in "fiub":
        raise ConfigurationError(f"{name}: got dtype {rows.dtype}, expected numbers")
    if rows.ndim != 2:
        raise ConfigurationError(f"{name}: got shape {rows.shape}, expected (N, D)")
    if rows.size == 0:
        raise ConfigurationError(f"{name}: got shape {rows.shape}, expected at least one row and one column")
    with np.errstate(over="ignore"):  # overflow is reported below
        finite = np.isfinite(rows.astype(np.float32))
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ConfigurationError(
            f"{name}: got {rows[row, column]} in row {row}, column {column}, expected a finite float32; fill it in or "
            "remove the row"
        )
    values = np.ascontiguousarray(rows, dtype=np.float64)
    if rows.dtype.kind in "iu" and (rounded := rounded_integers(rows)).any():
        row, column = np.argwhere(rounded)[0]
        raise ConfigurationError(
            f"{name}: got {rows[row, column]} in row {row}, column {column}, which float64 rounds; subtract the "
            "smallest value of the column, or remove the column"
        )
    return torch.from_numpy(values)


def rounded_integers(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the integers that float64 cannot represent.

    Example:
        >>> rounded_integers(np.array([5, 2**53 + 1, 2**53 + 2]))
        array([False,  True, False])
    """
    floats = values.astype(np.float64)
    rounded = np.abs(floats) >= _MAX_WHOLE
    pairs = zip(values[rounded].tolist(), floats[rounded].tolist(), strict=True)
    rounded[rounded] = [whole != int(number) for whole, number in pairs]
    return rounded


def to_label_tensor(labels: NDArray[Any], name: str) -> Tensor:
    """Validate stored class labels and convert them to int64.

    Args:
        labels: integers, or floats with integer values, (N,), not negative.
        name: file and array, for error messages.

    Returns:
        int64 (N,).

    Raises:
        ConfigurationError: invalid dtype or shape, a fraction, NaN or a negative label.

    Example:
        >>> to_label_tensor(np.array([1.0, 0.0]), "demo.npz: labels")
        tensor([1, 0])
    """
    if labels.dtype.kind not in "fiub":
        raise ConfigurationError(f"{name}: got dtype {labels.dtype}, expected integers 0..K-1")
    if labels.ndim != 1:
        raise ConfigurationError(f"{name}: got shape {labels.shape}, expected (N,)")
    floats = labels.astype(np.float64)  # the limit overflows in float16
    if labels.dtype.kind == "f" and not ((np.abs(floats) < _MAX_WHOLE) & (floats == np.round(floats))).all():
        raise ConfigurationError(f"{name}: got labels that are not integers, expected 0..K-1")
    whole = labels.astype(np.int64)
    if len(whole) and whole.min() < 0:
        raise ConfigurationError(f"{name}: got the negative label {whole.min()}, expected 0..K-1")
    return torch.from_numpy(whole)


def check_same_length(inputs: Tensor, labels: Tensor, name: str) -> None:
    """Check that the numbers of inputs and labels are equal.

    Raises:
        ConfigurationError: the numbers differ.
    """
    if len(inputs) != len(labels):
        raise ConfigurationError(
            f"{name}: got {len(labels)} labels for {len(inputs)} samples, expected one label per sample"
        )


def infer_num_classes(labels: Tensor, name: str) -> int:
    """Return the number of classes K, after checking that each of the labels 0..K-1 occurs.

    Args:
        labels: int64 (N,), N at least 1, not negative.
        name: file and array, for error messages.

    Raises:
        ConfigurationError: a class has no sample.
    """
    present: Tensor = torch.unique(labels)  # not bincount: memory would grow with the largest label
    num_classes = int(present[-1]) + 1
    if len(present) != num_classes:
        gaps = torch.arange(len(present))[present != torch.arange(len(present))]
        raise ConfigurationError(
            f"{name}: got labels up to {num_classes - 1} without class {int(gaps[0])}, expected every class 0..K-1"
        )
    return num_classes


def check_label_range(labels: Tensor, num_classes: int, name: str) -> None:
    """Check that all labels are below the number of training classes.

    Raises:
        ConfigurationError: a label is ``num_classes`` or larger.
    """
    if len(labels) and int(labels.max()) >= num_classes:
        raise ConfigurationError(
            f"{name}: got label {int(labels.max())}, expected the classes of the training labels, 0..{num_classes - 1}"
        )
