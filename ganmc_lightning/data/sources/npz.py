"""The project's one file form: a data set as an ``.npz`` file, checked when read."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.data.sources.base import ArrayDataset, Splits
from ganmc_lightning.data.sources.split import stratified_split
from ganmc_lightning.errors import InputError
from ganmc_lightning.files.arrays import (
    check_labels_known,
    check_lengths,
    count_classes,
    image_tensor,
    label_tensor,
    list_arrays,
    read_array,
    read_class_names,
    row_tensor,
)

IMAGE_ARRAYS = "train_images uint8 (N, H, W, C), train_labels, test_images, test_labels"
ROW_ARRAYS = "X_train (N, D), y_train, X_test, y_test"
TEST_FRACTION = 0.2
"""Share held out for testing when a table has no test part of its own."""


def read_splits(path: Path, class_names: tuple[str, ...] = ()) -> Splits:
    """Read a data set from an ``.npz`` file.

    The file holds images (``train_images`` uint8 (N, H, W, C), ``train_labels``, ``test_images``,
    ``test_labels``), or rows (``X_train`` (N, D), ``y_train``, ``X_test``, ``y_test``), or rows without a
    test part (``X``, ``y``), of which :data:`TEST_FRACTION` is then held out, seeded and stratified. An
    array of strings ``class_names`` may name the classes. Other arrays are passed over.

    Args:
        path: the file.
        class_names: names for a file that holds none; left off where their number does not fit.

    Returns:
        Train and test part in memory, rows as stored (not z-scored).

    Raises:
        InputError: the file or an array of it cannot be used; the message names both and the fix.
    """
    held = list_arrays(path)
    if "train_images" in held:
        names = ("train_labels", "test_labels")
        train, test = (_read(path, f"{part}_images", f"{part}_labels") for part in ("train", "test"))
    elif "X_train" in held:
        names = ("y_train", "y_test")
        train, test = (_read(path, f"X_{part}", f"y_{part}") for part in ("train", "test"))
    elif "X" in held:
        names = ("y", "y")
        train, test = hold_out(_read(path, "X", "y"), TEST_FRACTION, SPLIT_SEED, f"{path}: y")
    else:
        raise InputError(
            f"{path}: holds {', '.join(held) or 'nothing'}: a data set needs {IMAGE_ARRAYS}; or {ROW_ARRAYS}; or X, y"
        )
    num_classes = count_classes(train.labels, f"{path}: {names[0]}")
    check_labels_known(test.labels, num_classes, f"{path}: {names[1]}")
    if train.sample_shape != test.sample_shape:
        raise InputError(
            f"{path}: a training sample has shape {train.sample_shape}, a test sample {test.sample_shape}: "
            "make them alike"
        )
    if "class_names" in held:
        class_names = read_class_names(path, num_classes)
    return Splits(train, test, num_classes, class_names if len(class_names) == num_classes else ())


def _read(path: Path, inputs_name: str, labels_name: str) -> ArrayDataset:
    to_tensor = image_tensor if inputs_name.endswith("images") else row_tensor
    inputs = to_tensor(read_array(path, inputs_name), f"{path}: {inputs_name}")
    labels = label_tensor(read_array(path, labels_name), f"{path}: {labels_name}")
    check_lengths(inputs, labels, f"{path}: {labels_name}")
    return ArrayDataset(inputs, labels)


def hold_out(data: ArrayDataset, fraction: float, seed: int, where: str) -> tuple[ArrayDataset, ArrayDataset]:
    """Cut a seeded, stratified test part off a data set that has none.

    Args:
        data: all samples.
        fraction: share that becomes the test part.
        seed: the same seed gives the same cut.
        where: what to call the labels in a complaint.

    Returns:
        Training part and test part.

    Raises:
        InputError: there are too few samples for a test part.
    """
    train, test = stratified_split(data.labels, fraction, seed)
    if len(test) == 0:
        raise InputError(
            f"{where}: {len(data)} samples are too few to hold out {fraction:.0%} for testing: "
            "give more samples of each class, or a test part"
        )
    return (
        ArrayDataset(data.inputs[train], data.labels[train]),
        ArrayDataset(data.inputs[test], data.labels[test]),
    )
