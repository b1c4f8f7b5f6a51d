from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganmc_lightning.data.datasets import HuggingFaceDataset
from ganmc_lightning.exceptions import ConfigurationError

datasets = pytest.importorskip("datasets")
pytest.importorskip("pandas")


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an empty cache and no network; hide progress bars, which are written to stderr."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def make(n: int, start: int = 0, labels: list[Any] | None = None, kind: Any = None, **columns: Any) -> Any:
    """Return n gray images of 4x4 pixels; image k has the level ``start + k``."""
    kind = kind or datasets.ClassLabel(names=["cat", "dog"])
    images = [Image.new("L", (4, 4), start + k) for k in range(n)]
    labels = [k % 2 for k in range(n)] if labels is None else labels
    table = datasets.Dataset.from_dict({"image": images, "label": labels, **columns})
    return table.cast_column("image", datasets.Image()).cast_column("label", kind)


def levels(data: Any) -> list[int]:
    return data.inputs[:, 0, 0, 0].tolist()  # type: ignore[no-any-return]


def test_splits_are_used(tmp_path: Path) -> None:
    splits = {"train": make(4, 100), "validation": make(2, 110), "test": make(3, 120), "unsupervised": make(1)}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "pets"))
    source = HuggingFaceDataset(tmp_path / "pets")
    source.prepare(tmp_path)
    loaded = source.load(tmp_path)
    assert source.name == "pets"
    assert (loaded.class_names, loaded.train.sample_shape) == (("cat", "dog"), (3, 4, 4))
    assert loaded.validation is not None
    assert levels(loaded.train) == [100, 101, 102, 103]
    assert levels(loaded.validation) == [110, 111]
    assert levels(loaded.test) == [120, 121, 122]
    assert loaded.test.labels.tolist() == [0, 1, 0]


def test_test_split_without_labels_is_ignored(tmp_path: Path) -> None:
    splits = {"train": make(4, 100), "validation": make(2, 110), "test": make(2, 120, labels=[-1, -1])}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "pets"))
    loaded = HuggingFaceDataset(tmp_path / "pets", channels=1).load(tmp_path)
    assert loaded.validation is None
    assert levels(loaded.test) == [110, 111]


def test_folder_of_images(tmp_path: Path) -> None:
    for split, start in (("train", 100), ("test", 120)):
        for k in range(4):
            file = tmp_path / "photos" / split / ("cat", "dog")[k % 2] / f"{k}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (6, 4), start + k).save(file)
    with pytest.raises(ConfigurationError, match="photos: got images of 6x4 pixels, expected squares of one size"):
        HuggingFaceDataset(tmp_path / "photos").load(tmp_path)
    loaded = HuggingFaceDataset(tmp_path / "photos", image_size=4).load(tmp_path)
    assert loaded.class_names == ("cat", "dog")
    assert sorted(levels(loaded.test)) == [120, 121, 122, 123]


@pytest.mark.parametrize(("values", "names"), [(["emu", "ant"], ("ant", "emu")), ([1, 0], ())])
def test_labels_of_other_types(tmp_path: Path, values: list[Any], names: tuple[str, ...]) -> None:
    kind = datasets.Value("string" if names else "int64")
    make(10, 100, labels=values * 5, kind=kind).save_to_disk(str(tmp_path / "pets"))
    loaded = HuggingFaceDataset(tmp_path / "pets", channels=1).load(tmp_path)
    assert (loaded.class_names, loaded.num_classes) == (names, 2)
    for data in (loaded.train, loaded.test):
        assert [1 - level % 2 for level in levels(data)] == data.labels.tolist()


def test_corrupt_image_is_named(tmp_path: Path) -> None:
    table = make(10, 100).cast_column("image", datasets.Image(decode=False))
    rows = [*table["image"]]
    rows[3] = {"bytes": rows[3]["bytes"][4:], "path": None}
    features = datasets.Features(image=datasets.Image(), label=table.features["label"])
    broken = datasets.Dataset.from_dict({"image": rows, "label": [*table["label"]]}, features=features)
    broken.save_to_disk(str(tmp_path / "pets"))
    with pytest.raises(ConfigurationError, match=r"pets\['train'\]\[3\]: cannot be read as an image \(not BMP, GIF"):
        HuggingFaceDataset(tmp_path / "pets").load(tmp_path)


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        (
            lambda: make(4).remove_columns("label"),
            {},
            "got the columns image without a label column, expected label_col",
        ),
        (lambda: make(4).remove_columns("image"), {}, r"got 0 columns of type Image \(label\), expected image_column"),
        (
            lambda: make(4),
            {"image_column": "label"},
            "image_column: .*got 'label', expected a column of type Image: image",
        ),
        (lambda: make(4), {"label_column": "kind"}, "label_column: .*got 'kind', expected one of image, label"),
        (lambda: make(4, labels=[0, 1, -1, 0]), {}, "got 1 of 4 train samples without label, expected none"),
        (lambda: make(4, labels=[0] * 4), {}, "got no training samples of class 1"),
        (
            lambda: make(4, labels=[0.1, 0.2, 0.3, 0.4], kind=datasets.Value("float64")),
            {},
            "column 'label': got a continuous target",
        ),
        (lambda: datasets.DatasetDict({"extra": make(4)}), {}, "got the splits extra, expected train"),
    ],
)
def test_invalid_tables_raise(tmp_path: Path, table: Any, arguments: dict[str, str], message: str) -> None:
    table().save_to_disk(str(tmp_path / "pets"))
    with pytest.raises(ConfigurationError, match=message) as caught:
        HuggingFaceDataset(tmp_path / "pets", **arguments).load(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_image_raises(tmp_path: Path) -> None:
    table = datasets.Dataset.from_dict(
        {"image": [None, None], "label": [0, 1]},
        features=datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(num_classes=2)),
    )
    table.save_to_disk(str(tmp_path / "pets"))
    with pytest.raises(ConfigurationError, match=r"\['train'\]\[0\]: got no image, expected one"):
        HuggingFaceDataset(tmp_path / "pets").load(tmp_path)


def test_unknown_name_raises(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"empty: cannot be read by datasets .*, expected a folder") as caught:
        HuggingFaceDataset(tmp_path / "empty").prepare(tmp_path)
    assert "\n" not in str(caught.value)


def test_size_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="image_size: got 0"):
        HuggingFaceDataset("beans", image_size=0)
