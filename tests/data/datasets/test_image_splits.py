from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganmc_lightning.data.datasets import ImageFileDataset, TensorDataset
from ganmc_lightning.data.datasets import image_splits as subject
from ganmc_lightning.data.datasets.image_splits import (
    ImageSizeError,
    common_image_size,
    identify_splits,
    load_images,
    make_splits,
)
from ganmc_lightning.data.splits import Split
from ganmc_lightning.exceptions import ConfigurationError


def images(levels: list[int], labels: list[int]) -> TensorDataset:
    inputs = torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 2, 2)
    return TensorDataset(inputs, torch.tensor(labels))


@pytest.fixture
def files(tmp_path: Path) -> ImageFileDataset:
    names = [f"{k}.png" for k in range(6)]
    for k, name in enumerate(names):
        Image.new("RGB", (4, 4), (40 * k + 9, 0, 0)).save(tmp_path / name)
    return ImageFileDataset(tmp_path, names, torch.arange(6) % 2, 4, 4, channels=1)


def test_images_are_loaded_up_to_the_limit(files: ImageFileDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_of_pixels = 6 * 4 * 4
    monkeypatch.setattr(subject, "MEMORY_LIMIT", bytes_of_pixels)
    loaded = load_images({"train": files})["train"]
    assert isinstance(loaded, TensorDataset)
    for index in range(6):
        assert torch.equal(loaded.inputs[index], files[index][0])
    monkeypatch.setattr(subject, "MEMORY_LIMIT", bytes_of_pixels - 1)
    assert load_images({"train": files})["train"] is files


def test_files_are_split(files: ImageFileDataset) -> None:
    splits = make_splits({"train": files}, ("a", "b"), 2, "photos")
    assert isinstance(splits.train, ImageFileDataset)
    assert sorted(splits.train.labels.tolist()) == [0, 0, 1, 1]
    assert sorted(splits.test.labels.tolist()) == [0, 1]


@pytest.mark.parametrize(("train", "count"), [([5, 6, 7, 8], 0), ([5, 6, 7, 1], 1), ([1, 1, 2, 2], 2)])
def test_copies_in_the_test_split_are_counted(train: list[int], count: int) -> None:
    splits: dict[str, Split] = {"train": images(train, [0, 0, 1, 1]), "test": images([1, 2], [0, 1])}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_splits(splits, (), 2, "photos")
    assert len(caught) == min(count, 1)
    if count:
        assert str(caught[0].message).startswith(f"photos: {count} of 2 test images are identical to training")


def test_copies_of_validation_images_are_counted() -> None:
    data: dict[str, Split] = {"train": images([5, 6], [0, 1]), "val": images([1], [0]), "test": images([1, 2], [0, 1])}
    with pytest.warns(UserWarning, match="1 of 2 test images are identical"):
        make_splits(data, (), 2, "photos")


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 0, 0], ("a", "b"), "got class 'b' in the test split, expected a class of the training samples"),
        ([0, 0, 2], (), "got label 1 in the test split"),
    ],
)
def test_classes_of_the_test_split_are_training_classes(labels: list[int], classes: tuple[str], message: str) -> None:
    splits: dict[str, Split] = {"train": images([1, 2, 3], labels), "test": images([4, 5], [0, 1])}
    with pytest.raises(ConfigurationError, match=message):
        make_splits(splits, classes, 3, "photos")


def test_every_class_requires_training_samples() -> None:
    with pytest.raises(ConfigurationError, match="no training samples of class 1, expected every class"):
        make_splits({"train": images([1, 2], [0, 2]), "test": images([4], [0])}, (), 3, "photos")


def test_empty_split_raises() -> None:
    empty = TensorDataset(torch.empty(0, 1, 2, 2, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    with pytest.raises(ConfigurationError, match="photos: got no test samples"):
        make_splits({"train": images([1, 2], [0, 1]), "test": empty}, (), 2, "photos")


def test_too_few_samples_for_a_test_split() -> None:
    with pytest.raises(ConfigurationError, match="photos: got 2 samples, too few for a test split"):
        make_splits({"train": images([1, 2], [0, 1])}, (), 2, "photos")


def test_names_of_splits() -> None:
    assert identify_splits(["a", "TRAIN", "valid", "testing"], "x") == {
        "train": "TRAIN",
        "val": "valid",
        "test": "testing",
    }
    with pytest.raises(ConfigurationError, match="x: got 'test' and 'Test', expected one test split"):
        identify_splits(["test", "Test"], "x")


@pytest.mark.parametrize(
    ("sizes", "found"), [(["6x4"], "6x4"), (["4x4", "5x5", "6x6", "7x7", "8x8"], "4x4, 5x5, 6x6, ...")]
)
def test_common_size_names_the_sizes(tmp_path: Path, sizes: list[str], found: str) -> None:
    for size in sizes:
        width, height = map(int, size.split("x"))
        Image.new("L", (width, height)).save(tmp_path / f"{size}.png")
    with pytest.raises(ImageSizeError, match=f"photos: got images of {found} pixels, expected squares of one size"):
        common_image_size([(tmp_path / f"{size}.png", None) for size in sizes], "photos")
