from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.data import datasets
from ganmc_lightning.data.datasets import CelebA, DatasetSource, Digits
from ganmc_lightning.exceptions import ConfigurationError


class FakeMNIST:
    """torchvision keeps MNIST as uint8 (N, H, W) and int64 (N,) tensors."""

    def __init__(self, root: str, train: bool, download: bool) -> None:
        assert download
        generator = torch.Generator().manual_seed(int(train))
        n = 20 if train else 10
        self.data = torch.randint(0, 256, (n, 28, 28), generator=generator, dtype=torch.uint8)
        self.targets = torch.arange(n) % 10


class FakeCIFAR:
    """torchvision keeps CIFAR as a transposed uint8 (N, H, W, C) array and a list of int."""

    num_classes = 10

    def __init__(self, root: str, train: bool, download: bool) -> None:
        assert download
        n = 2 * self.num_classes if train else self.num_classes
        data = np.random.default_rng(int(train)).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
        self.data = data.transpose(0, 2, 3, 1)
        self.targets = [i % self.num_classes for i in range(n)]
        self.classes = [f"thing {i}" for i in range(self.num_classes)]


class FakeCIFAR100(FakeCIFAR):
    num_classes = 100


class FakeSVHN:
    """torchvision keeps SVHN as uint8 (N, C, H, W) and int64 (N,) arrays."""

    def __init__(self, root: str, split: str, download: bool) -> None:
        assert download
        n = {"train": 20, "test": 10}[split]
        self.data = np.random.default_rng(n).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
        self.labels = np.arange(n) % 10


@pytest.mark.parametrize(
    ("name", "fake", "shape", "last_class"),
    [
        ("MNIST", FakeMNIST, (1, 28, 28), "9"),
        ("FashionMNIST", FakeMNIST, (1, 28, 28), "Ankle boot"),
        ("CIFAR10", FakeCIFAR, (3, 32, 32), "truck"),
        ("CIFAR100", FakeCIFAR100, (3, 32, 32), "thing 99"),
        ("SVHN", FakeSVHN, (3, 32, 32), "9"),
    ],
)
def test_download_is_converted_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fake: Any,
    shape: tuple[int, ...],
    last_class: str,
) -> None:
    monkeypatch.setattr(f"torchvision.datasets.{name}", fake)
    source: DatasetSource = getattr(datasets, name)()
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    assert splits.train.sample_shape == splits.test.sample_shape == shape
    assert splits.class_names[-1] == last_class
    assert len(splits.class_names) == splits.num_classes

    original = fake("", **({"split": "test"} if name == "SVHN" else {"train": False}), download=True)
    pixels = np.asarray(original.data)
    if name.startswith("CIFAR"):
        pixels = pixels.transpose(0, 3, 1, 2)
    assert np.array_equal(splits.test.inputs, pixels.reshape(splits.test.inputs.shape))

    monkeypatch.setattr(f"torchvision.datasets.{name}", None)  # a second download would fail
    source.prepare(tmp_path)
    assert torch.equal(source.load(tmp_path).train.inputs, splits.train.inputs)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("MNIST", RuntimeError("Error downloading:\nTried a\nTried b")),
        ("CIFAR10", URLError("Name or service not known")),
        ("CIFAR100", OSError("disk")),
        ("SVHN", ModuleNotFoundError("No module named 'scipy'")),
        ("CelebA", RuntimeError("gdown is required")),
    ],
)
def test_failed_download_error_describes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(f"torchvision.datasets.{name}", fail)
    source = getattr(datasets, name)()
    with pytest.raises(ConfigurationError) as caught:
        source.prepare(tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"cannot download {source.name} (")
    assert str(error).split()[-1] in text
    assert f"put {source.name}.npz (train_images uint8 (N, H, W, C), train_labels, test_images" in text
    assert f"into {tmp_path}, or set GANMC_DATA" in text
    assert not list(tmp_path.glob("*.npz"))


def test_a_file_that_is_there_is_used(tmp_path: Path) -> None:
    arrays = {f"{part}_images": np.full((2, 4, 4, 1), 7, np.uint8) for part in ("train", "test")}
    np.savez(tmp_path / "cifar10.npz", **arrays, train_labels=[0, 1], test_labels=[1, 1])
    source = datasets.CIFAR10()
    source.prepare(tmp_path)
    assert source.load(tmp_path).num_classes == 2


def test_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"data root .*file/data: cannot be created .*set GANMC_DATA"):
        Digits().prepare(tmp_path / "file" / "data")


def test_root_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permission bits do not stop a test that runs as root.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigurationError, match=f"data root {tmp_path}: not writable"):
        Digits().prepare(tmp_path)


def test_load_before_prepare(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"digits.npz: file not found"):
        Digits().load(tmp_path)


def test_digits(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    source = Digits()
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    assert len(splits.train) + len(splits.test) == 1797
    assert abs(len(splits.train) - len(splits.test)) <= 10
    assert splits.train.sample_shape == (1, 8, 8)
    assert (splits.train.labels.bincount() - splits.test.labels.bincount()).abs().max() <= 1
    levels = {round(level * 255 / 16) for level in range(17)}
    assert set(splits.train.inputs.unique().tolist()) == levels
    total = splits.train.inputs.sum().item() + splits.test.inputs.sum().item()
    assert total == pytest.approx(load_digits().images.sum() * 255 / 16, rel=1e-3)


@pytest.fixture
def fake_celeba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    for i in range(6):
        face = np.zeros((218, 178, 3), np.uint8)
        face[20:198] = (i * 40, 100, 200)  # the centered square; the rest stays black
        Image.fromarray(face).save(folder / f"{i}.png")

    def faces(root: str, split: str, download: bool) -> SimpleNamespace:
        numbers = {"train": range(4), "test": range(4, 6)}[split]
        return SimpleNamespace(
            root=root,
            base_folder="celeba",
            filename=[f"{i}.png" for i in numbers],
            attr_names=["Bald", "Smiling", ""],
            attr=torch.tensor([[0, i % 2] for i in numbers]),
        )

    monkeypatch.setattr("torchvision.datasets.CelebA", faces)


@pytest.mark.usefixtures("fake_celeba")
def test_celeba_is_cut_and_labelled(tmp_path: Path) -> None:
    source = CelebA(image_size=16)
    source.prepare(tmp_path)
    assert (tmp_path / "celeba_16_Smiling.npz").exists()
    splits = source.load(tmp_path)
    assert splits.train.inputs.shape == (4, 3, 16, 16)
    assert splits.train.labels.tolist() == [0, 1, 0, 1]
    assert splits.class_names == ("not Smiling", "Smiling")
    colors = torch.tensor([[i * 40, 100, 200] for i in (4, 5)], dtype=torch.uint8)
    middle = splits.test.inputs[:, :, 2:-2]  # the outer rows of so small an image touch the border
    assert torch.equal(middle, colors[:, :, None, None].expand(2, 3, 12, 16))


@pytest.mark.usefixtures("fake_celeba")
def test_celeba_without_that_attribute(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"attribute: got 'Happy', expected one of Bald, Smiling$"):
        CelebA(image_size=16, attribute="Happy").prepare(tmp_path)


@pytest.mark.usefixtures("fake_celeba")
def test_celeba_with_a_broken_face_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "celeba" / "img_align_celeba" / "5.png").write_bytes(b"broken")
    with pytest.raises(ConfigurationError, match=r"5\.png: cannot be read as an image"):
        CelebA(image_size=16).prepare(tmp_path)
    assert not list(tmp_path.glob("*celeba_16*"))


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [
        ("MNIST", (1, 28, 28), (60_000, 10_000)),
        ("FashionMNIST", (1, 28, 28), (60_000, 10_000)),
        ("CIFAR10", (3, 32, 32), (50_000, 10_000)),
    ],
)
def test_real_data(name: str, shape: tuple[int, ...], sizes: tuple[int, int]) -> None:
    source = getattr(datasets, name)()
    root = Path(os.environ.get("GANMC_DATA", "absent"))
    if not source.file(root).exists():
        pytest.skip(f"needs {source.name}.npz in $GANMC_DATA")
    splits = source.load(root)
    assert (len(splits.train), len(splits.test)) == sizes
    assert splits.train.sample_shape == shape
    assert splits.num_classes == 10
