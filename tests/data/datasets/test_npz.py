from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ganmc_lightning.data.datasets.npz import read_splits
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.npz import ChunkedArray, write_npz

Arrays = dict[str, np.ndarray]


def images() -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": rng.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8),
        "test_labels": np.array([1, 0]),
    }


def rows() -> Arrays:
    rng = np.random.default_rng(1)
    return {
        "X_train": rng.normal(size=(5, 3)),
        "y_train": np.array([0.0, 1.0, 0.0, 1.0, 1.0]),
        "X_test": rng.normal(size=(2, 3)),
        "y_test": np.array([1.0, 0.0]),
    }


def test_images_are_read(tmp_path: Path) -> None:
    arrays = images()
    np.savez(tmp_path / "a.npz", **arrays, leftover=np.zeros(1))
    splits = read_splits(tmp_path / "a.npz")
    assert splits.num_classes == 3
    assert splits.class_names == ()
    assert splits.train.sample_shape == (3, 4, 4)
    assert np.array_equal(splits.train.inputs.permute(0, 2, 3, 1), arrays["train_images"])
    assert splits.test.labels.tolist() == [1, 0]


def test_validation_images_are_read(tmp_path: Path) -> None:
    arrays = images()
    arrays["val_images"], arrays["val_labels"] = 255 - arrays["train_images"][:2], np.array([2, 1])
    np.savez(tmp_path / "a.npz", **arrays)
    validation = read_splits(tmp_path / "a.npz").validation
    assert validation is not None
    assert np.array_equal(validation.inputs.permute(0, 2, 3, 1), arrays["val_images"])
    assert validation.labels.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"val_labels": np.array([0, 3])},
            "val_labels: got label 3, expected the classes of the training labels, 0..2",
        ),
        ({"val_images": np.zeros((2, 5, 4, 3), np.uint8)}, "(3, 4, 4) and validation samples of shape (3, 5, 4)"),
        ({"val_labels": np.array([0])}, "val_labels: got 1 labels for 2 samples"),
    ],
)
def test_invalid_validation_images_raise(tmp_path: Path, arrays: Arrays, message: str) -> None:
    valid = {"val_images": images()["test_images"], "val_labels": np.array([0, 1])}
    np.savez(tmp_path / "a.npz", **images(), **{**valid, **arrays})
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        read_splits(tmp_path / "a.npz")


def test_rows_are_read_as_they_are(tmp_path: Path) -> None:
    arrays = rows()
    np.savez(tmp_path / "a.npz", **arrays)
    splits = read_splits(tmp_path / "a.npz", ("no", "yes"))
    assert np.array_equal(splits.train.inputs, arrays["X_train"])
    assert splits.train.labels.tolist() == [0, 1, 0, 1, 1]
    assert splits.train.sample_shape == (3,)
    assert splits.class_names == ("no", "yes")


def test_test_part_is_cut_once_and_for_all(tmp_path: Path) -> None:
    X = np.arange(200.0).reshape(100, 2)
    y = np.repeat([0, 1], [70, 30])
    np.savez(tmp_path / "a.npz", X=X, y=y)
    splits = read_splits(tmp_path / "a.npz")
    assert splits.train.labels.bincount().tolist() == [56, 24]
    assert splits.test.labels.bincount().tolist() == [14, 6]
    together = torch.cat([splits.train.inputs, splits.test.inputs])
    assert sorted(together[:, 0].tolist()) == X[:, 0].tolist()
    for part in (splits.train, splits.test):  # rows still carry their own labels
        assert torch.equal(part.labels, (part.inputs[:, 0] >= 140).long())
    assert torch.equal(read_splits(tmp_path / "a.npz").test.inputs, splits.test.inputs)


def test_names_of_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **rows(), feature_names=np.array(["a", "b", "c"]))
    splits = read_splits(tmp_path / "a.npz", ("no", "yes"))
    assert splits.schema is not None
    assert splits.schema.names == ("a", "b", "c")
    assert splits.schema.classes == ("no", "yes")
    np.savez(tmp_path / "a.npz", **rows(), feature_names=np.array(["a", "b", "a"]))
    with pytest.raises(ConfigurationError, match=r"feature_names: got .*, expected 3 distinct strings"):
        read_splits(tmp_path / "a.npz")


def test_weights_beside_a_test_set(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **rows(), sample_weight_train=np.arange(1, 6))
    splits = read_splits(tmp_path / "a.npz")
    assert splits.train.weights.tolist() == [1, 2, 3, 4, 5]
    assert splits.test.weights is None


@pytest.mark.parametrize(
    ("arrays", "name", "words"),
    [
        (rows(), "sample_weight", "expected sample_weight_train for the weights of rows"),
        (rows(), "sample_weight_test", "expected sample_weight_train for the weights of rows"),
        (images(), "train_sample_weight", "expected no weights for images"),
    ],
)
def test_weights_that_would_be_ignored(tmp_path: Path, arrays: Arrays, name: str, words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays, **{name: np.ones(5)})
    with pytest.raises(ConfigurationError, match=rf"a\.npz: got the array {name}, {words}"):
        read_splits(tmp_path / "a.npz")


def test_row_numbers_in_training_and_test_rows_together(tmp_path: Path) -> None:
    number, rng = np.random.default_rng(0).permutation(30), np.random.default_rng(1)
    X, y = np.column_stack([rng.normal(size=30), number]), number % 2
    np.savez(tmp_path / "a.npz", X_train=X[:20], y_train=y[:20], X_test=X[20:], y_test=y[20:])
    with pytest.raises(ConfigurationError, match=r"a\.npz: column 'x1' numbers the rows \(0\.\.29, all distinct\)"):
        read_splits(tmp_path / "a.npz")


def test_class_names_of_the_file_win(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **images(), class_names=np.array(["x", "y", "z"]))
    assert read_splits(tmp_path / "a.npz", ("p", "q", "r")).class_names == ("x", "y", "z")


def test_class_names_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **images())
    assert read_splits(tmp_path / "a.npz", ("p", "q")).class_names == ()
    np.savez(tmp_path / "a.npz", **images(), class_names=np.array(["x", "y"]))
    with pytest.raises(ConfigurationError, match=r"class_names: got .*, expected 3 strings"):
        read_splits(tmp_path / "a.npz")


def test_class_names_are_composed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **images(), class_names=np.array(["x", "mu\u0308sli", "z"]))
    assert read_splits(tmp_path / "a.npz").class_names == ("x", "m\u00fcsli", "z")


def of_ones(arrays: Arrays) -> None:
    arrays["train_images"] = (arrays["train_images"] > 127).astype(np.uint8)


def ones_in_test(arrays: Arrays) -> None:
    arrays["test_images"] = (arrays["test_images"] > 127).astype(np.uint8)


def of_floats(arrays: Arrays) -> None:
    arrays["train_images"] = arrays["train_images"] / 255


def gap(arrays: Arrays) -> None:
    arrays["train_labels"][arrays["train_labels"] == 1] = 0


def unknown(arrays: Arrays) -> None:
    arrays["test_labels"][0] = 3


def shorter(arrays: Arrays) -> None:
    arrays["test_labels"] = arrays["test_labels"][:1]


def larger(arrays: Arrays) -> None:
    arrays["test_images"] = np.zeros((2, 5, 5, 3), np.uint8)


def without_test_labels(arrays: Arrays) -> None:
    del arrays["test_labels"]


def without_train_images(arrays: Arrays) -> None:
    del arrays["train_images"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (of_ones, r"train_images: got uint8 pixels in \[0, 1\], expected \[0, 255\]"),
        (ones_in_test, r"test_images: got uint8 pixels in \[0, 1\]"),
        (of_floats, r"train_images: got dtype float64 and values in \[0, 1\], expected uint8 pixels"),
        (gap, "train_labels: got labels up to 2 without class 1"),
        (unknown, "test_labels: got label 3"),
        (shorter, "test_labels: got 1 labels for 2 samples"),
        (larger, r"got training samples of shape \(3, 4, 4\) and test samples of shape \(3, 5, 5\)"),
        (without_test_labels, "expected the array test_labels"),
        (without_train_images, "got train_labels, test_images, test_labels, expected train_images"),
    ],
)
def test_unusable_files(tmp_path: Path, spoil: Callable[[Arrays], None], words: str) -> None:
    arrays = images()
    spoil(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ConfigurationError, match=f"bad.npz: .*{words}"):
        read_splits(tmp_path / "bad.npz")


def test_rows_of_different_width(tmp_path: Path) -> None:
    arrays = rows()
    arrays["X_test"] = arrays["X_test"][:, :2]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ConfigurationError, match="expected equal shapes"):
        read_splits(tmp_path / "a.npz")


def test_too_few_rows_for_a_test_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((2, 1)), y=np.array([0, 1]))
    with pytest.raises(ConfigurationError, match=r"a\.npz: y: got 2 samples, too few for a test split of 20%"):
        read_splits(tmp_path / "a.npz")


def test_written_file_is_what_numpy_would_read(tmp_path: Path) -> None:
    whole = np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3)
    path = tmp_path / "a.npz"
    write_npz(path, {"whole": whole, "pieces": ChunkedArray(whole.shape, np.uint8, (image for image in whole))})
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == ["whole", "pieces"]
        assert archive["pieces"].dtype == np.uint8
        assert np.array_equal(archive["whole"], whole)
        assert np.array_equal(archive["pieces"], whole)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_interrupted_writing_leaves_the_old_file(tmp_path: Path) -> None:
    def pieces() -> Iterator[np.ndarray]:
        yield np.zeros((1, 2), np.uint8)
        raise ConfigurationError("a broken image")

    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    with pytest.raises(ConfigurationError, match="a broken image"):
        write_npz(path, {"x": ChunkedArray((2, 2), np.uint8, pieces())})
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"a\.npz: cannot be written"):
        write_npz(tmp_path / "file" / "a.npz", {"x": np.zeros(1)})


def test_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_npz(tmp_path / "a.npz", {"x": np.zeros(1)})
    assert (tmp_path / "a.npz").stat().st_mode == (tmp_path / "usual").stat().st_mode
