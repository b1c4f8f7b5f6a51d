from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ganmc_lightning.data.datasets import ImageTable
from ganmc_lightning.exceptions import ConfigurationError

pd = pytest.importorskip("pandas")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve gray images; image k has the level 100 + k."""
    (tmp_path / "images").mkdir()
    for k in range(12):
        Image.new("L", (4, 4), 100 + k).save(tmp_path / "images" / f"{k}.png")
    return tmp_path


def table(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"file": [f"images/{k}.png" for k in range(12)], **columns})


def levels(data: object) -> list[int]:
    return data.inputs[:, 0, 0, 0].tolist()  # type: ignore[attr-defined, no-any-return]


ANIMALS = ["cat", "dog", "emu"] * 4


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_paths_are_relative_to_the_table(folder: Path, suffix: str) -> None:
    frame, path = table(animal=ANIMALS), folder / f"photos{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    splits = ImageTable(path, channels=1).load(folder)
    assert splits.class_names == ("cat", "dog", "emu")
    assert splits.train.sample_shape == (1, 4, 4)
    for data in (splits.train, splits.test):
        assert [(level - 100) % 3 for level in levels(data)] == data.labels.tolist()
    assert sorted(levels(splits.train) + levels(splits.test)) == list(range(100, 112))
    assert sorted(splits.test.labels.tolist()) == [0, 1, 2]


def test_columns_are_found_by_name(folder: Path) -> None:
    names = ["train"] * 6 + ["valid"] * 3 + ["test"] * 3
    table(note=["x"] * 12, Label=ANIMALS, split=names).to_csv(folder / "photos.csv", index=False)
    splits = ImageTable(folder / "photos.csv").load(folder)
    assert splits.validation is not None
    assert [levels(data) for data in (splits.train, splits.validation, splits.test)] == [
        list(range(100, 106)),
        [106, 107, 108],
        [109, 110, 111],
    ]


def test_columns_are_named(folder: Path) -> None:
    frame = table(thumbnail=["images/0.png"] * 12, label=["x", "y"] * 6, animal=ANIMALS, fold=["train", "test"] * 6)
    frame.to_csv(folder / "photos.csv", index=False)
    with pytest.raises(ConfigurationError, match="got columns of image files file, thumbnail, expected image_column"):
        ImageTable(folder / "photos.csv").load(folder)
    splits = ImageTable(folder / "photos.csv", "file", "animal", "fold").load(folder)
    assert splits.class_names == ("cat", "dog", "emu")
    assert levels(splits.test) == list(range(101, 112, 2))


def test_numbered_classes_have_no_names(folder: Path) -> None:
    table(label=[0, 1, 2] * 4).to_csv(folder / "photos.csv", index=False)
    splits = ImageTable(folder / "photos.csv").load(folder)
    assert (splits.class_names, splits.num_classes) == ((), 3)


def test_missing_files_are_counted(folder: Path) -> None:
    for k in (3, 7):
        (folder / "images" / f"{k}.png").unlink()
    table(animal=ANIMALS).to_csv(folder / "photos.csv", index=False)
    with pytest.raises(ConfigurationError, match=r"got 2 of 12 files that do not exist, the first is 'images/3\.png'"):
        ImageTable(folder / "photos.csv").load(folder)


def test_broken_image_is_named(folder: Path) -> None:
    (folder / "images" / "3.png").write_bytes(b"broken")
    table(animal=ANIMALS).to_csv(folder / "photos.csv", index=False)
    for size in (None, 4):
        with pytest.raises(ConfigurationError, match=r"images/3\.png: cannot be read as an image"):
            ImageTable(folder / "photos.csv", image_size=size).load(folder)


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"animal": ANIMALS}, {"image_column": "path"}, "image_column: .*got 'path', expected one of file, animal"),
        ({"animal": ANIMALS}, {"label_column": "class"}, "label_column: .*got 'class', expected one of file, animal"),
        ({"animal": ANIMALS}, {"split_column": "fold"}, "split_column: .*got 'fold', expected one of file, animal"),
        ({"a": ANIMALS, "b": ANIMALS}, {}, "got the columns file, a, b, expected label_column"),
        ({"score": [k / 7 for k in range(12)]}, {}, "column 'score': got a continuous target"),
        ({"animal": ["", *ANIMALS[1:]]}, {}, "column 'animal': got 1 missing values"),
        ({"animal": ["cat"] * 12}, {}, "got 1 class, expected at least 2"),
        ({"label": ANIMALS, "split": ["train", "extra"] * 6}, {}, "column 'split': got 'extra', expected train"),
        ({"label": ANIMALS, "split": ["test"] * 12}, {}, "column 'split': got 'test', expected train"),
        (
            {"label": ANIMALS, "split": ["test" if name == "emu" else "train" for name in ANIMALS]},
            {},
            "got class 'emu' in the test split, expected a class of the training samples",
        ),
    ],
)
def test_invalid_tables_raise(folder: Path, columns: dict, arguments: dict, message: str) -> None:  # type: ignore[type-arg]
    table(**columns).to_csv(folder / "photos.csv", index=False)
    with pytest.raises(ConfigurationError, match=message) as caught:
        ImageTable(folder / "photos.csv", **arguments).load(folder)
    assert "\n" not in str(caught.value)


def test_table_without_image_files_raises(folder: Path) -> None:
    pd.DataFrame({"size": [1, 2], "label": [0, 1]}).to_csv(folder / "rows.csv", index=False)
    with pytest.raises(ConfigurationError, match=r"no column of image files in the columns size, label, .*TableFile"):
        ImageTable(folder / "rows.csv").load(folder)


def test_missing_table_and_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.csv: file not found"):
        ImageTable(tmp_path / "no.csv").prepare(tmp_path)
    with pytest.raises(ConfigurationError, match="image_size: got 0"):
        ImageTable(tmp_path / "no.csv", image_size=0)
