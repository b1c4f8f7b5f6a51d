from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import (
    check_label_range,
    check_same_length,
    infer_num_classes,
    list_arrays,
    read_array,
    read_class_names,
    to_image_tensor,
    to_label_tensor,
    to_row_tensor,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.npz"
    np.savez(path, rows=np.arange(6000.0).reshape(-1, 2), names=np.array(["a", "b"]))
    return path


def message(call: Any, *args: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_names_and_values_come_back(file: Path) -> None:
    assert list_arrays(file) == ("rows", "names")
    assert np.array_equal(read_array(file, "rows"), np.arange(6000.0).reshape(-1, 2))


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert "absent.npz: file not found" in message(read_array, tmp_path / "absent.npz", "x")


def test_missing_array_error_lists_the_arrays_of_the_file(file: Path) -> None:
    assert "some.npz: got rows, names, expected the array labels" in message(read_array, file, "labels")


def test_truncated_file(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert "some.npz: not a .npz file, or truncated" in message(list_arrays, file)


def test_flipped_byte_is_found(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    assert "some.npz: rows: damaged" in message(read_array, file, "rows")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01."])
def test_other_files_raise(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert "not a .npz file" in message(list_arrays, file)


def test_lone_npy_raises(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert "not a .npz file" in message(list_arrays, path)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "bomb.npz"
    np.savez(path, train_images=np.array([Bomb()], dtype=object))
    assert "bomb.npz: train_images: got pickled Python objects" in message(read_array, path, "train_images")
    assert not (tmp_path / "exploded").exists()


def test_member_that_is_no_array(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("note.txt", "hello")
    assert "note.txt: not a numpy array" in message(read_array, file, "note.txt")


def header(shape: str, descr: str = "'<f8'") -> bytes:
    """The first bytes of a ``.npy`` file."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def zipped(content: bytes, compression: int = zipfile.ZIP_STORED) -> bytearray:
    """An archive with ``content`` as the array X."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("X.npy", content)
    return bytearray(file.getvalue())


def with_damaged_data(compression: int) -> bytearray:
    content = zipped(header("(20, 3)") + np.random.default_rng(0).bytes(480), compression)
    start = content.find(b"X.npy") + 14
    content[start : start + 20] = b"\xff" * 20
    return content


def of_a_future_version() -> bytearray:
    content = zipped(header("(0,)"))
    content[content.find(b"PK\x01\x02") + 6] = 99
    return content


def encrypted() -> bytearray:
    content = zipped(header("(0,)"))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + place] |= 1
    return content


ODD_ARCHIVES = {
    "header cut": (zipped(header("(")[:-1]), "X: damaged"),
    "no header": (zipped(b"\x93NUMPY"), "X: damaged"),
    "unknown dtype": (zipped(header("(1,)", "'<q9'")), "X: damaged"),
    "nested header": (zipped(header("(" * 3000 + ")" * 3000)), "X: damaged"),
    "10**12 rows": (zipped(header(f"({10**12}, 3)")), "X: "),
    "2**70 rows": (zipped(header(f"({2**70}, 3)")), "X: damaged"),
    "-1 rows": (zipped(header("(-1, 3)")), "X: damaged"),
    "fewer rows than claimed": (zipped(header("(20, 3)") + bytes(24)), "X: damaged"),
    "damaged lzma": (with_damaged_data(zipfile.ZIP_LZMA), "X: damaged"),
    "damaged bzip2": (with_damaged_data(zipfile.ZIP_BZIP2), "X: damaged"),
    "damaged deflate": (with_damaged_data(zipfile.ZIP_DEFLATED), "X: damaged"),
    "zip version 9.9": (of_a_future_version(), "cannot be read"),
    "encrypted": (encrypted(), "X: damaged"),
    "bytes before the archive": (b"#!/bin/sh\n" + zipped(header("(0,)")), "got other bytes before the archive"),
}


@pytest.mark.parametrize("kind", ODD_ARCHIVES)
def test_odd_archives_raise_in_one_line(tmp_path: Path, kind: str) -> None:
    content, words = ODD_ARCHIVES[kind]
    (tmp_path / "odd.npz").write_bytes(content)
    assert f"odd.npz: {words}" in message(read_array, tmp_path / "odd.npz", "X")


def test_class_names_are_composed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", class_names=np.array(["mu\u0308sli", "apfel"]))
    assert read_class_names(tmp_path / "a.npz", 2) == ("m\u00fcsli", "apfel")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b", "c"], "shape (3,), expected 2 strings"),
        ([0, 1], "dtype int64 and shape (2,), expected 2 strings"),
        (["m\u00fcsli", "mu\u0308sli"], "'m\u00fcsli' twice"),
    ],
)
def test_bad_class_names(tmp_path: Path, names: list[Any], words: str) -> None:
    np.savez(tmp_path / "a.npz", class_names=np.array(names))
    assert words in message(read_class_names, tmp_path / "a.npz", 2)


def test_image_channels_move_to_the_front() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    tensor = to_image_tensor(images, "f: images")
    assert tensor.shape == (2, 3, 4, 5)
    assert tensor.is_contiguous()
    assert tensor[1, 2, 3, 4] == images[1, 3, 4, 2]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 4, 4, 3)), "dtype float64 and values in [0, 0], expected uint8 pixels"),
        (np.full((2, 4, 4, 3), 0.5), "dtype float64 and values in [0.5, 0.5], expected uint8 pixels"),
        (np.eye(4, dtype=np.uint8).reshape(1, 4, 4, 1), "got uint8 pixels in [0, 1], expected [0, 255]"),
        (np.zeros((2, 4, 4), np.uint8), "add the channel axis"),
        (np.zeros((2, 3, 32, 32), np.uint8), "channels, the last axis"),
        (np.zeros((2, 4, 4, 0), np.uint8), "channels, the last axis"),
        (np.zeros(4, np.uint8), "(N, H, W, C)"),
        (np.zeros((0, 4, 4, 3), np.uint8), "expected at least one image"),
    ],
)
def test_bad_images(images: np.ndarray, words: str) -> None:
    text = message(to_image_tensor, images, "f.npz: train_images")
    assert text.startswith("f.npz: train_images")
    assert words in text


@pytest.mark.parametrize("dtype", [">f8", np.float16, np.int32, np.bool_])
def test_rows_become_float64(dtype: Any) -> None:
    rows = to_row_tensor(np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype), "f: X")
    assert rows.dtype == torch.float64
    assert rows.tolist() == [[0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.array([["a"]]), "expected numbers"),
        (np.zeros(3), "expected (N, D)"),
        (np.zeros((0, 3)), "expected at least one row and one column"),
        (np.zeros((3, 0)), "expected at least one row and one column"),
        (np.array([[0.0, 1.0], [2.0, np.nan]]), "got nan in row 1, column 1"),
        (np.array([[0.0], [0.0], [-np.inf]]), "got -inf in row 2, column 0"),
        (np.array([[0], [2**53 + 1]]), "got 9007199254740993 in row 1, column 0, which float64 rounds"),
        (np.array([[1e300]]), "got 1e+300 in row 0, column 0, expected a finite float32"),
    ],
)
def test_bad_rows(rows: np.ndarray, words: str) -> None:
    text = message(to_row_tensor, rows, "f.npz: X_train")
    assert text.startswith("f.npz: X_train")
    assert words in text


@pytest.mark.parametrize("dtype", [">i4", np.uint8, np.float32, np.bool_])
def test_labels_become_int64(dtype: Any) -> None:
    labels = to_label_tensor(np.array([0, 1, 1], dtype=dtype), "f: y")
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array(["cat"]), "expected integers 0..K-1"),
        (np.zeros((3, 1), np.int64), "expected (N,)"),
        (np.array([0.0, 0.5]), "got labels that are not integers"),
        (np.array([0.0, np.nan]), "got labels that are not integers"),
        (np.array([0.0, np.inf]), "got labels that are not integers"),
        (np.array([0, 1, -1]), "the negative label -1"),
    ],
)
def test_bad_labels(labels: np.ndarray, words: str) -> None:
    text = message(to_label_tensor, labels, "f.npz: y_train")
    assert text.startswith("f.npz: y_train")
    assert words in text


def test_classes_are_counted() -> None:
    assert infer_num_classes(torch.tensor([2, 0, 1, 1]), "f: y") == 3


@pytest.mark.parametrize(("labels", "gap"), [([0, 2, 3], 1), ([1, 2], 0), ([0, 1, 10**12], 2)])
def test_gap_in_the_classes(labels: list[int], gap: int) -> None:
    text = message(infer_num_classes, torch.tensor(labels), "f: y")
    assert f"got labels up to {max(labels)} without class {gap}" in text


def test_unknown_test_label() -> None:
    check_label_range(torch.tensor([0, 1]), 2, "f: y_test")
    assert "f: y_test: got label 2, expected" in message(check_label_range, torch.tensor([0, 2]), 2, "f: y_test")


def test_lengths_must_agree() -> None:
    check_same_length(torch.zeros(3, 2), torch.zeros(3), "f: y")
    assert "f: y: got 2 labels for 3 samples" in message(check_same_length, torch.zeros(3, 2), torch.zeros(2), "f: y")
