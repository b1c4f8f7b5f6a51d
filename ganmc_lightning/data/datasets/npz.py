"""Read a data set from an ``.npz`` file, with validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ganmc_lightning.data.datasets.base import DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.row_numbers import check_no_row_numbers
from ganmc_lightning.data.schema import Field, TableSchema
from ganmc_lightning.data.splits import train_test_split
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
from ganmc_lightning.io.weights import check_weights

IMAGE_ARRAYS = "train_images uint8 (N, H, W, C), train_labels, test_images, test_labels"
ROW_ARRAYS = "X_train (N, D), y_train, X_test, y_test"
TEST_FRACTION = 0.2
"""Share of the test samples of a data set without a test split."""


def read_splits(path: Path, class_names: tuple[str, ...] = ()) -> DatasetSplits:
    """Read a data set from an ``.npz`` file.

    The file contains images (``train_images`` uint8 (N, H, W, C), ``train_labels``, ``test_images``, ``test_labels``),
    rows (``X_train`` (N, D), ``y_train``, ``X_test``, ``y_test``), or rows without a test split (``X``, ``y``), of
    which a stratified, seeded share of :data:`TEST_FRACTION` become test rows. Optional arrays are ``class_names``; for
    images the validation samples ``val_images``, ``val_labels``; for rows ``feature_names`` and the weights in
    training, ``sample_weight_train`` (with ``X`` and ``y``: ``sample_weight``). Other arrays are ignored.

    Args:
        path: the file.
        class_names: class names, used if the file has none and their number equals the number of classes.

    Returns:
        Training, test and optional validation samples in memory; rows in the units of the file.

    Raises:
        ConfigurationError: the file or one of its arrays is invalid.
    """
    arrays = list_arrays(path)
    validation: TensorDataset | None = None
    if "train_images" in arrays:
        label_names = ("train_labels", "test_labels")
        train, test = (_read(path, f"{split}_images", f"{split}_labels") for split in ("train", "test"))
        if "val_images" in arrays:
            validation = _read(path, "val_images", "val_labels")
    elif "X_train" in arrays:
        label_names = ("y_train", "y_test")
        train = _read(path, "X_train", "y_train", "sample_weight_train")
        test = _read(path, "X_test", "y_test")
    elif "X" in arrays:
        label_names = ("y", "y")
        train, test = train_test_split(_read(path, "X", "y", "sample_weight"), TEST_FRACTION, f"{path}: y")
    else:
        raise ConfigurationError(
            f"{path}: got {', '.join(arrays) or 'no arrays'}, expected {IMAGE_ARRAYS}; or {ROW_ARRAYS}; or X, y"
        )
    _check_weight_names(path, arrays)
    num_classes = infer_num_classes(train.labels, f"{path}: {label_names[0]}")
    _check_match(path, train, test, num_classes, label_names[1])
    if validation is not None:
        _check_match(path, train, validation, num_classes, "val_labels")
    if "class_names" in arrays:
        class_names = read_class_names(path, num_classes)
    class_names = class_names if len(class_names) == num_classes else ()
    if len(train.sample_shape) != 1:
        return DatasetSplits(train, test, num_classes, class_names, validation=validation)
    schema = _schema(path, arrays, train.sample_shape[0], class_names)
    _check_rows(path, train, test, schema.names)
    return DatasetSplits(train, test, num_classes, class_names, schema=schema)


def _read(path: Path, inputs_name: str, labels_name: str, weights_name: str = "") -> TensorDataset:
    to_tensor = to_image_tensor if inputs_name.endswith("images") else to_row_tensor
    inputs = to_tensor(read_array(path, inputs_name), f"{path}: {inputs_name}")
    labels = to_label_tensor(read_array(path, labels_name), f"{path}: {labels_name}")
    check_same_length(inputs, labels, f"{path}: {labels_name}")
    if weights_name not in list_arrays(path):
        return TensorDataset(inputs, labels)
    weights = check_weights(read_array(path, weights_name), labels.numpy(), f"{path}: {weights_name}")
    return TensorDataset(inputs, labels, torch.from_numpy(weights))


def _check_match(path: Path, train: TensorDataset, other: TensorDataset, num_classes: int, labels_name: str) -> None:
    check_label_range(other.labels, num_classes, f"{path}: {labels_name}")
    if train.sample_shape != other.sample_shape:
        split = "validation" if labels_name.startswith("val") else "test"
        raise ConfigurationError(
            f"{path}: got training samples of shape {train.sample_shape} and {split} samples of shape "
            f"{other.sample_shape}, expected equal shapes"
        )


def _check_weight_names(path: Path, arrays: Sequence[str]) -> None:
    """Reject weights of images, and weights of rows with an unused array name."""
    used = "" if "train_images" in arrays else "sample_weight_train" if "X_train" in arrays else "sample_weight"
    for name in arrays:
        if "sample_weight" in name and name != used:
            expected = f"expected {used} for the weights of rows" if used else "expected no weights for images"
            raise ConfigurationError(f"{path}: got the array {name}, {expected}")


def _schema(path: Path, arrays: Sequence[str], columns: int, class_names: tuple[str, ...]) -> TableSchema:
    if "feature_names" not in arrays:
        return TableSchema.unnamed(columns)._replace(classes=class_names)
    names = read_array(path, "feature_names")
    if names.dtype.kind != "U" or names.shape != (columns,) or len(set(names.tolist())) < columns:
        raise ConfigurationError(
            f"{path}: feature_names: got dtype {names.dtype} and shape {names.shape}, "
            f"expected {columns} distinct strings, one per column"
        )
    return TableSchema(tuple(Field(str(name)) for name in names), classes=class_names)


def _check_rows(path: Path, train: TensorDataset, test: TensorDataset, names: Sequence[str]) -> None:
    """Reject columns that number the rows, also if training and test rows are numbered jointly."""
    rows, fix = train.inputs.numpy(), "remove it"
    check_no_row_numbers(rows, names, str(path), fix)
    check_no_row_numbers(np.concatenate([rows, test.inputs.numpy()]), names, str(path), fix)
