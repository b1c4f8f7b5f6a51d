from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from ganmc_lightning.data.datasets import ImageFileDataset, ImageFolder, ImageNet
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import read_image


def save(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    for part, n, blue in (("train", 2, 20), ("test", 1, 0), ("val", 1, 40)):  # no image is in two splits
        for i in range(n):
            save(root / part / "cat" / f"{i}.png", (200, 0, blue + i))
            save(root / part / "dög" / f"{i}.PNG", (0, 100, blue + i), (10, 30))
    save(root / "train" / ".cache" / "0.png", (0, 0, 0))
    save(root / "test" / "cat" / ".thumbnails" / "0.png", (0, 0, 0))
    return root


def test_image_folder(folder: Path, tmp_path: Path) -> None:
    source = ImageFolder(folder, image_size=8)
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    assert source.name == "pets"
    assert splits.class_names == ("cat", "dög")
    assert splits.train.inputs.shape == (4, 3, 8, 8)
    assert splits.train.inputs.is_contiguous()
    assert splits.train.labels.tolist() == [0, 0, 1, 1]
    assert splits.test.inputs[1, :, 3, 3].tolist() == [0, 100, 0]


def write_classes(root: Path, names: tuple[str, ...], number: int, start: int = 0) -> None:
    """Write distinct images of 4x4 pixels: the gray level is counted from ``start``."""
    for k, name in enumerate(names):
        for i in range(number):
            save(root / name / f"{i}.png", (start + k * number + i,) * 3, (4, 4))


def test_class_folders_are_split(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 10, 100)
    splits, again = (ImageFolder(tmp_path).load(tmp_path) for _ in range(2))
    assert splits.class_names == ("cat", "dog")
    assert splits.validation is None
    assert splits.test.labels.tolist() == [0, 0, 1, 1]
    levels = [data.inputs[:, 0, 0, 0].tolist() for data in (splits.train, splits.test, again.test)]
    assert sorted(levels[0] + levels[1]) == list(range(100, 120))
    assert levels[1] == levels[2]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing")])
def test_splits_in_folders_are_used(tmp_path: Path, names: tuple[str, ...]) -> None:
    for start, name in zip((50, 100, 150), names, strict=True):
        write_classes(tmp_path / name, ("cat", "dog"), 2, start)
    splits = ImageFolder(tmp_path).load(tmp_path)
    assert splits.validation is not None
    levels = [data.inputs[:, 0, 0, 0].tolist() for data in (splits.train, splits.validation, splits.test)]
    assert levels == [[s, s + 1, s + 2, s + 3] for s in (50, 100, 150)]


def test_val_folder_without_test_folder_is_the_test_split(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", ("cat", "dog"), 3, 50)
    write_classes(tmp_path / "val", ("cat", "dog"), 1, 100)
    splits = ImageFolder(tmp_path).load(tmp_path)
    assert splits.validation is None
    assert len(splits.train) == 6
    assert splits.test.inputs[:, 0, 0, 0].tolist() == [100, 101]


def test_class_with_the_name_of_a_split(tmp_path: Path) -> None:
    write_classes(tmp_path, ("bus", "train"), 5, 50)
    assert ImageFolder(tmp_path).load(tmp_path).class_names == ("bus", "train")


def test_split_folders_without_class_folders_raise(tmp_path: Path) -> None:
    write_classes(tmp_path, ("test", "train"), 2, 50)
    with pytest.raises(ConfigurationError, match="got test, train, expected one folder of images per class"):
        ImageFolder(tmp_path).prepare(tmp_path)


def test_two_folders_of_one_split_raise(tmp_path: Path) -> None:
    for name in ("train", "val", "valid"):
        write_classes(tmp_path / name, ("cat", "dog"), 1)
    with pytest.raises(ConfigurationError, match="got 'val' and 'valid', expected one val split"):
        ImageFolder(tmp_path).prepare(tmp_path)


def test_empty_class_folder_raises(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 5)
    (tmp_path / "newt").mkdir()
    with pytest.raises(ConfigurationError, match="newt: got no images"):
        ImageFolder(tmp_path).load(tmp_path)


def test_one_class_raises(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat",), 5, 50)
    with pytest.raises(ConfigurationError, match="got 1 class, expected at least 2"):
        ImageFolder(tmp_path).load(tmp_path)


def test_sizes_that_differ_require_image_size(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 5, 50)
    save(tmp_path / "dog" / "5.png", (60, 0, 0), (6, 5))
    with pytest.raises(ConfigurationError, match=r"got images of 4x4, 6x5 pixels, expected squares of one size"):
        ImageFolder(tmp_path).load(tmp_path)
    assert ImageFolder(tmp_path, image_size=4).load(tmp_path).train.sample_shape == (3, 4, 4)


def test_gray_and_color_files_are_converted(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 5, 50)
    Image.new("L", (4, 4), 200).save(tmp_path / "cat" / "5.png")
    for channels in (1, 3):
        splits = ImageFolder(tmp_path, channels=channels).load(tmp_path)
        images = torch.cat([splits.train.inputs, splits.test.inputs])
        assert images.shape == (11, channels, 4, 4)
        assert images.max() == 200


def test_skipped_files_are_named_once(folder: Path, tmp_path: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    (folder / "train" / "cat" / "._0.png").write_bytes(b"no image")
    for source in (ImageFolder(folder, image_size=8), ImageNet(folder, image_size=8)):
        source.prepare(tmp_path)
        with pytest.warns(
            UserWarning, match="train: skipped 2 entries that are not images: cat/._0.png, cat/notes.txt$"
        ) as caught:
            splits = source.load(tmp_path)
        assert len(caught) == 1
        assert len(splits.train) == 4


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_class_names_of_either_unicode_form(tmp_path: Path, forms: tuple[str, str]) -> None:
    for part, form in zip(("train", "test"), forms, strict=True):
        for k, name in enumerate(("apfel", "müsli")):
            save(tmp_path / part / unicodedata.normalize(form, name) / "0.png", (100 * k, 0, len(part)))
    splits = ImageFolder(tmp_path, image_size=8).load(tmp_path)
    assert splits.class_names == ("apfel", "m\u00fcsli")
    for data in (splits.train, splits.test):
        assert data.labels.tolist() == [0, 1]
        assert data.inputs[:, 0, 0, 0].tolist() == [0, 100]


def test_photos_are_upright_and_transparent_pixels_white(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    photo = Image.new("RGB", (16, 16))
    photo.paste((255, 255, 255), (0, 0, 16, 8))
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 255] + [0] * 255 * 3)
    palette.paste(1, (0, 0, 8, 16))
    for part in ("train", "val", "test"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
        photo.save(tmp_path / part / "a" / "0.jpg", exif=exif, quality=95)
        palette.save(tmp_path / part / "b" / "1.png", transparency=0)
    with pytest.warns(UserWarning, match="2 of 2 test images are identical to training or validation images"):
        in_memory = ImageFolder(tmp_path, 16).load(tmp_path).test.inputs
    from_disk = ImageNet(tmp_path, 16, 16).load(tmp_path).test
    for image in (*in_memory, from_disk[0][0], from_disk[1][0]):  # all are black on the left, white on the right
        assert image[:, :, :7].max() < 20
        assert image[:, :, 9:].min() > 235


def test_files_of_zeros_and_ones_raise(folder: Path, tmp_path: Path) -> None:
    for file in (folder / "test").glob("*/0.*"):
        save(file, (0, 1, 0))
    with pytest.raises(ConfigurationError, match=r"pets/test: got uint8 pixels in \[0, 1\], expected \[0, 255\]"):
        ImageFolder(folder, image_size=8).load(tmp_path)


def test_thin_image_raises(folder: Path, tmp_path: Path) -> None:
    Image.new("L", (1, 200_000)).save(folder / "train" / "cat" / "1.png")
    with pytest.raises(ConfigurationError, match=r"cat/1\.png: .*expected at most 67,108,864"):
        ImageFolder(folder, image_size=32).load(tmp_path)
    with pytest.raises(ConfigurationError, match=r"cat/1\.png: .*expected at most 67,108,864"):
        ImageNet(folder, image_size=32, shorter_side=32).load(tmp_path).train[1]


def test_gray_images(folder: Path, tmp_path: Path) -> None:
    splits = ImageFolder(str(folder), image_size=8, channels=1).load(tmp_path)
    assert splits.test.inputs.shape == (2, 1, 8, 8)
    assert splits.test.inputs[0].unique().tolist() == [round(0.299 * 200)]  # ITU-R 601 luma


def test_unreadable_image_is_named(folder: Path, tmp_path: Path) -> None:
    broken = folder / "train" / "cat" / "1.png"
    content = (folder / "train" / "cat" / "0.png").read_bytes()
    for part in (b"", b"hello", content[:-30]):
        broken.write_bytes(part)
        with pytest.raises(ConfigurationError, match=r"cat/1\.png: cannot be read as an image"):
            ImageFolder(folder, image_size=8).load(tmp_path)


def test_deep_gray_levels_raise(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ConfigurationError, match=r"deep\.png: got I;16 pixels of more than 8 bits"):
        read_image(tmp_path / "deep.png", 8, 8, channels=1)


def test_missing_parts_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere: cannot be read"):
        ImageFolder(tmp_path / "nowhere", image_size=8).prepare(tmp_path)
    (folder / "empty" / "train").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"empty/train: got no class folders"):
        ImageFolder(folder / "empty", image_size=8).prepare(tmp_path)
    (folder / "train" / "newt").mkdir()
    with pytest.raises(ConfigurationError, match=r"train/newt: got no images"):
        ImageFolder(folder, image_size=8).load(tmp_path)


def test_class_that_training_lacks(folder: Path, tmp_path: Path) -> None:
    save(folder / "test" / "newt" / "0.png", (0, 0, 0))
    with pytest.raises(ConfigurationError, match=r"test/newt: not a class, expected the class names"):
        ImageFolder(folder, image_size=8).load(tmp_path)


@pytest.mark.parametrize("size", [(40, 30), (30, 41), (57, 91), (28, 28), (29, 200)])
def test_reads_as_torchvision_does(tmp_path: Path, size: tuple[int, int]) -> None:
    from torchvision.transforms import v2

    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = v2.Compose([v2.PILToTensor(), v2.Resize(28, antialias=True), v2.CenterCrop(24)])
    with Image.open(tmp_path / "a.png") as image:
        difference = expected(image).int() - read_image(tmp_path / "a.png", 24, 28, channels=3).int()
    # Tensors and Pillow round the same filter differently.
    assert difference.abs().max() <= 1


def test_imagenet_reads_when_asked(folder: Path, tmp_path: Path) -> None:
    (folder / "train" / "cat" / "1.png").write_bytes(b"broken")
    source = ImageNet(folder, image_size=8, shorter_side=10)
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    train, test = splits.train, splits.test
    assert isinstance(train, ImageFileDataset)
    assert (len(train), len(test), splits.num_classes) == (4, 2, 2)
    assert train.labels.tolist() == [0, 0, 1, 1]
    image, label = test[1]
    assert image.dtype == torch.uint8
    assert image.shape == test.sample_shape == (3, 8, 8)
    assert image[:, 0, 0].tolist() == [0, 100, 40]
    assert label.dtype == torch.int64
    assert label.item() == 1
    with pytest.raises(ConfigurationError, match=r"cat/1\.png: cannot be read"):
        train[1]


def test_file_dataset_subset_and_batches(folder: Path, tmp_path: Path) -> None:
    train = ImageNet(folder, image_size=8, shorter_side=10).load(tmp_path).train
    assert isinstance(train, ImageFileDataset)
    part = pickle.loads(pickle.dumps(train.subset(torch.tensor([3, 0]))))
    assert len(train) == 4
    images, labels = next(iter(DataLoader(part, batch_size=2)))
    assert labels.tolist() == part.labels.tolist() == [1, 0]
    assert images[:, 0, 0, 0].tolist() == [0, 200]


def test_sizes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="image_size: got 0, expected a positive"):
        ImageFolder(tmp_path, image_size=0)
    with pytest.raises(ConfigurationError, match="channels: got 2, expected 3 for RGB or 1 for gray"):
        ImageFolder(tmp_path, channels=2)
    with pytest.raises(ConfigurationError, match="shorter_side: got 200, expected at least image_size 224"):
        ImageNet(tmp_path, shorter_side=200)
