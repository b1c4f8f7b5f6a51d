from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganmc_lightning.data.datasets import CIFAR10, HuggingFaceDataset, ImageFolder, ImageTable, NpzFile, open_dataset
from ganmc_lightning.exceptions import ConfigurationError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").touch()
    for name in ("photos.csv", "photos.PARQUET"):
        (tmp_path / name).touch()
    np.savez(tmp_path / "photos.npz", X=np.zeros((2, 2)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folder(folder: Path) -> None:
    source = open_dataset("photos", image_size=32, channels=1)
    assert isinstance(source, ImageFolder)
    assert (source.path, source.image_size, source.channels) == (Path("photos"), 32, 1)
    default = open_dataset(str(folder / "photos"))
    assert isinstance(default, ImageFolder)
    assert (default.image_size, default.channels) == (None, 3)


@pytest.mark.parametrize("name", ["photos.csv", "photos.PARQUET"])
@pytest.mark.parametrize(("columns", "expected"), [("", (None, None)), (":file:kind", ("file", "kind"))])
def test_table(folder: Path, name: str, columns: str, expected: tuple[str | None, str | None]) -> None:
    source = open_dataset(name + columns, image_size=32)
    assert isinstance(source, ImageTable)
    assert (source.path, source.image_size) == (Path(name), 32)
    assert (source.image_column, source.label_column) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hf:org/name", ("org/name", None, None)),
        ("hf:org/name:img:fine_label", ("org/name", "img", "fine_label")),
        ("hf:photos", ("photos", None, None)),
        ("saved", ("saved", None, None)),
    ],
)
def test_hugging_face(folder: Path, path: str, expected: tuple[str, str | None, str | None]) -> None:
    source = open_dataset(path, channels=1)
    assert isinstance(source, HuggingFaceDataset)
    assert (source.path, source.image_column, source.label_column) == expected
    assert source.channels == 1


def test_npz_file_and_name(folder: Path) -> None:
    assert isinstance(open_dataset("photos.npz"), NpzFile)
    assert isinstance(open_dataset("cifar10"), CIFAR10)


@pytest.mark.parametrize("path", ["photos.npz", "digits"])
def test_size_of_stored_arrays_cannot_be_chosen(folder: Path, path: str) -> None:
    with pytest.raises(ConfigurationError, match=f"image_size: got 32 for {path}, whose images have one size"):
        open_dataset(path, image_size=32)
    with pytest.raises(ConfigurationError, match=f"channels: got 1 for {path}"):
        open_dataset(path, channels=1)


@pytest.mark.parametrize(("path", "hint"), [("foto", "photos"), ("cifar", "cifar10"), ("photo.csv", "photos.csv")])
def test_unknown_path_names_a_similar_one(folder: Path, path: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{path}: not found, expected a folder .*did you mean {hint}\?$"):
        open_dataset(path)
