"""The project's one file form: a data set as an ``.npz`` file, checked when read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ganmc_lightning.data.datasets.base import DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.row_numbers import check_no_row_numbers
from ganmc_lightning.data.datasets.split import stratified_split
from ganmc_lightning.data.schema import Field, Schema
from ganmc_lightning.data.seeds import SPLIT_SEED
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
"""Share held out for testing when a table has no test part of its own."""


def read_splits(path: Path, class_names: tuple[str, ...] = ()) -> DatasetSplits:
    """Read a data set from an ``.npz`` file.

    The file holds images (``train_images`` uint8 (N, H, W, C), ``train_labels``, ``test_images``,
    ``test_labels``), or rows (``X_train`` (N, D), ``y_train``, ``X_test``, ``y_test``), or rows without a
    test part (``X``, ``y``), of which :data:`TEST_FRACTION` is then held out, seeded and stratified. An
    array of strings ``class_names`` may name the classes, ``feature_names`` the columns of rows;
    ``sample_weight_train`` or, beside ``X`` and ``y``, ``sample_weight`` (N,) may weigh the rows in training.
    Other arrays are passed over.

    Args:
        path: the file.
        class_names: names for a file that holds none; left off where their number does not fit.

    Returns:
        Training and test samples in memory, rows as stored (not z-scored).

    Raises:
        ConfigurationError: the file or an array of it cannot be used; the message names both and the fix.
    """
    held = list_arrays(path)
    if "train_images" in held:
        names = ("train_labels", "test_labels")
        train, test = (_read(path, f"{part}_images", f"{part}_labels") for part in ("train", "test"))
    elif "X_train" in held:
        names = ("y_train", "y_test")
        train = _read(path, "X_train", "y_train", "sample_weight_train")
        test = _read(path, "X_test", "y_test")
    elif "X" in held:
        names = ("y", "y")
        train, test = train_test_split(_read(path, "X", "y", "sample_weight"), TEST_FRACTION, SPLIT_SEED, f"{path}: y")
    else:
        raise ConfigurationError(
            f"{path}: holds {', '.join(held) or 'nothing'}: a data set needs {IMAGE_ARRAYS}; or {ROW_ARRAYS}; or X, y"
        )
    _check_weights_used(path, held)
    num_classes = infer_num_classes(train.labels, f"{path}: {names[0]}")
    check_label_range(test.labels, num_classes, f"{path}: {names[1]}")
    if train.sample_shape != test.sample_shape:
        raise ConfigurationError(
            f"{path}: a training sample has shape {train.sample_shape}, a test sample {test.sample_shape}: "
            "make them alike"
        )
    if "class_names" in held:
        class_names = read_class_names(path, num_classes)
    class_names = class_names if len(class_names) == num_classes else ()
    if len(train.sample_shape) != 1:
        return DatasetSplits(train, test, num_classes, class_names)
    schema = _schema(path, held, train.sample_shape[0], class_names)
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


def _check_weights_used(path: Path, held: Sequence[str]) -> None:
    """Refuse weights beside samples that take none, or under another name."""
    used = "" if "train_images" in held else "sample_weight_train" if "X_train" in held else "sample_weight"
    for name in held:
        if "sample_weight" in name and name != used:
            place = f"the weights of these rows are called {used}" if used else "only rows take weights"
            raise ConfigurationError(f"{path}: {name} is not used: {place}; rename it or leave it out")


def _schema(path: Path, held: Sequence[str], columns: int, class_names: tuple[str, ...]) -> Schema:
    if "feature_names" not in held:
        return Schema.unnamed(columns)._replace(classes=class_names)
    names = read_array(path, "feature_names")
    if names.dtype.kind != "U" or names.shape != (columns,) or len(set(names.tolist())) < columns:
        raise ConfigurationError(
            f"{path}: feature_names has dtype {names.dtype} and shape {names.shape}: "
            f"it must hold {columns} different strings, one a column"
        )
    return Schema(tuple(Field(str(name)) for name in names), classes=class_names)


def _check_rows(path: Path, train: TensorDataset, test: TensorDataset, names: Sequence[str]) -> None:
    """Refuse row numbers, also where training and test rows were numbered together."""
    rows, fix = train.inputs.numpy(), "leave it out"
    check_no_row_numbers(rows, names, str(path), fix)
    check_no_row_numbers(np.concatenate([rows, test.inputs.numpy()]), names, str(path), fix)


def train_test_split(
    data: TensorDataset, fraction: float, seed: int, where: str
) -> tuple[TensorDataset, TensorDataset]:
    """Cut a seeded, stratified test part off a data set that has none.

    Args:
        data: all samples.
        fraction: share that becomes the test part.
        seed: the same seed gives the same cut.
        where: what to call the labels in a complaint.

    Returns:
        Training part and test part.

    Raises:
        ConfigurationError: there are too few samples for a test part.
    """
    train, test = stratified_split(data.labels, fraction, seed)
    if len(test) == 0:
        raise ConfigurationError(
            f"{where}: {len(data)} samples are too few to hold out {fraction:.0%} for testing: "
            "give more samples of each class, or a test part"
        )
    return data.subset(train), data.subset(test)
