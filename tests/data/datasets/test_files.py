from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganmc_lightning.data import datasets
from ganmc_lightning.data.datasets import NpzFile, TableFile
from ganmc_lightning.exceptions import ConfigurationError

pd = pytest.importorskip("pandas", reason="tables need the extra `tabular`")


def table(n: int = 20) -> Any:
    return pd.DataFrame(
        {
            "id": [f"row {i}" for i in range(n)],
            "height": np.linspace(1.0, 2.0, n),
            "color": ["red", "blue", "green", "blue"] * (n // 4),
            "happy": [True, False] * (n // 2),
            "kind": ["yes", "no", "maybe", "no"] * (n // 4),
        }
    )


def source(path: Path, **changes: Any) -> TableFile:
    settings: dict[str, Any] = {
        "label_column": "kind",
        "categorical_columns": ["color"],
        "drop_columns": ["id"],
        **changes,
    }
    return TableFile(path, **settings)


def test_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, X=np.arange(20.0)[:, None] / 2, y=np.arange(20) % 2)
    mine = NpzFile(str(path))
    mine.prepare(tmp_path / "unused")
    assert mine.name == "mine"
    assert len(mine.load(tmp_path / "unused").test) == 4
    with pytest.raises(ConfigurationError, match=r"gone.npz: file not found"):
        NpzFile(tmp_path / "gone.npz").prepare(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_table_is_encoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        table().to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        table().to_parquet(path)
    mine = source(path)
    mine.prepare(tmp_path)
    splits = mine.load(tmp_path)
    assert splits.class_names == ("maybe", "no", "yes")
    assert splits.num_classes == 3
    assert (len(splits.train), len(splits.test)) == (16, 4)
    rows = torch.cat([splits.train.inputs, splits.test.inputs])
    labels = torch.cat([splits.train.labels, splits.test.labels])
    order = rows[:, 0].argsort()  # heights ascend in the file
    rows, labels = rows[order], labels[order]
    # height | blue, green, red | happy
    assert rows[0].tolist() == [1.0, 0, 0, 1, 1]
    assert rows[1, 1:].tolist() == [1, 0, 0, 0]
    assert rows[2, 1:].tolist() == [0, 1, 0, 1]
    assert labels[:4].tolist() == [2, 1, 0, 1]


def test_text_of_few_values_is_a_category_unasked(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "t.csv", index=False)
    unasked = source(tmp_path / "t.csv", categorical_columns=[]).load(tmp_path)
    asked = source(tmp_path / "t.csv").load(tmp_path)
    assert unasked.one_hot_blocks == asked.one_hot_blocks == ((1, 4),)
    assert torch.equal(unasked.train.inputs, asked.train.inputs)
    twice = source(tmp_path / "t.csv", categorical_columns=["happy"]).load(tmp_path)
    assert twice.one_hot_blocks == ((1, 4), (4, 6))


def test_text_of_many_values_is_categorical_only_on_request(tmp_path: Path) -> None:
    table(24).to_csv(tmp_path / "t.csv", index=False)
    splits = source(tmp_path / "t.csv", categorical_columns=["id"], drop_columns=[]).load(tmp_path)
    assert splits.one_hot_blocks == ((0, 24), (25, 28))


def test_other_objects_are_no_category(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    times = table().assign(when=pd.to_datetime(["2020-01-01", "2021-01-01"] * 10))
    times.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ConfigurationError, match=r"column 'when': got datetime"):
        source(tmp_path / "t.parquet").load(tmp_path)


def test_numeric_labels_keep_their_order(tmp_path: Path) -> None:
    pd.DataFrame({"x": np.arange(12) / 2, "y": [10, 2, 7] * 4}).to_csv(tmp_path / "t.csv", index=False)
    splits = TableFile(tmp_path / "t.csv", "y", test_fraction=0.5).load(tmp_path)
    assert splits.class_names == ("2", "7", "10")
    assert splits.test.labels.bincount().tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_column": "sort"}, "label_column: .*: got 'sort', expected one of id, height, color"),
        ({"categorical_columns": ["hue"]}, "categorical_columns: .*: got 'hue'"),
        ({"drop_columns": ["id", "x"]}, "drop_columns: .*: got 'x'"),
        ({"drop_columns": ["id", "kind"]}, "label_column: 'kind' is also a"),
        ({"drop_columns": []}, "column 'id': got text with 24 distinct values.* categorical_columns"),
        ({"label_column": "height"}, "column 'height': got a continuous target"),
        ({"drop_columns": ["id", "height", "color", "happy"]}, "got no feature columns"),
    ],
)
def test_wrong_columns(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    table(24).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match=words):
        source(tmp_path / "t.csv", **changes).load(tmp_path)


def test_a_class_of_one_row(tmp_path: Path) -> None:
    table().assign(kind=["once"] + ["no"] * 19).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match=r"'kind': got 2 classes, 1 of them with 1 row, e\.g\. 'once'"):
        source(tmp_path / "t.csv").load(tmp_path)


def test_a_rare_class_is_used_for_training(tmp_path: Path) -> None:
    table().assign(kind=["once"] + ["no", "yes"] * 9 + ["no"]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(UserWarning, match="'kind': classes with 1 row, used only for training: 'once'"):
        splits = source(tmp_path / "t.csv").load(tmp_path)
    assert splits.class_names == ("no", "once", "yes")
    assert (splits.train.labels == 1).sum() == 1
    assert (splits.test.labels == 1).sum() == 0


def test_schema_names_what_was_encoded(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "t.csv", index=False)
    schema = source(tmp_path / "t.csv").load(tmp_path).schema
    assert schema is not None
    assert schema.names == ("height", "color=blue", "color=green", "color=red", "happy")
    assert (schema.label, schema.classes) == ("kind", ("maybe", "no", "yes"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"n": range(20)}, "column 'n' numbers the rows"),
        ({"index": np.arange(20) * 3}, "column 'index' numbers the rows"),
        ({"kind.1": ["yes", "no", "maybe", "no"] * 5}, "column 'kind.1' is a copy of the label"),
    ],
)
def test_columns_that_leak_raise(tmp_path: Path, extra: dict[str, Any], words: str) -> None:
    table().assign(**extra).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match=words):
        source(tmp_path / "t.csv").load(tmp_path)
    name = next(iter(extra))
    source(tmp_path / "t.csv", drop_columns=["id", name]).load(tmp_path)


def test_index_that_pandas_writes(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "t.csv")
    with pytest.raises(ConfigurationError, match="column 'Unnamed: 0' has no name in the header"):
        source(tmp_path / "t.csv").load(tmp_path)
    splits = source(tmp_path / "t.csv", drop_columns=["id", "Unnamed: 0"]).load(tmp_path)
    assert splits.train.sample_shape == (5,)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_timestamps_keep_their_differences(tmp_path: Path, kind: str) -> None:
    times, labels = 1_700_000_000 + 3 * np.arange(40), np.arange(40) % 2
    path = tmp_path / f"t.{kind}"
    if kind == "npz":
        np.savez(path, X=times[:, None], y=labels)
        splits = NpzFile(path).load(tmp_path)
    else:
        frame = pd.DataFrame({"time": times, "kind": labels})
        if kind == "csv":
            frame.to_csv(path, index=False)
        else:
            pytest.importorskip("pyarrow")
            frame.to_parquet(path)
        splits = TableFile(path, "kind").load(tmp_path)
    assert torch.cat([splits.train.inputs, splits.test.inputs]).flatten().sort().values.tolist() == times.tolist()


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_weights_stay_with_their_rows(tmp_path: Path, kind: str) -> None:
    path, x, labels = tmp_path / f"t.{kind}", np.arange(40) / 2, np.arange(40) % 2
    if kind == "npz":
        np.savez(path, X=x[:, None], y=labels, sample_weight=x + 1)
        splits = NpzFile(path).load(tmp_path)
    else:
        pd.DataFrame({"x": x, "importance": x + 1, "y": labels}).to_csv(path, index=False)
        splits = TableFile(path, "y", weight_column="importance").load(tmp_path)
    for data in (splits.train, splits.test):
        assert data.sample_shape == (1,)
        assert data.weights.tolist() == (data.inputs[:, 0] + 1).tolist()


@pytest.mark.parametrize(
    ("weights", "changes", "words"),
    [
        ([1.0] * 20, {"weight_column": "wight"}, "weight_column: .*: got 'wight'"),
        ([1.0] * 20, {"drop_columns": ["id", "w"]}, "weight_column: 'w' is also a"),
        ([1.0] * 20, {"weight_column": "kind"}, "label_column: 'kind' is also a"),
        ([-1.0] + [1.0] * 19, {}, "weight_column: .*column 'w': got -1.0, expected finite values of at least 0"),
        ([None] + [1.0] * 19, {}, "weight_column: .*column 'w': got 1 missing values"),
        (["high", "low"] * 10, {}, "weight_column: .*column 'w': got text, expected numbers"),
        ([0.0] * 20, {}, "weight_column: .*column 'w': got a weight of zero for every sample"),
    ],
)
def test_unusable_weights(tmp_path: Path, weights: list[Any], changes: dict[str, Any], words: str) -> None:
    table().assign(w=weights).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match=words):
        source(tmp_path / "t.csv", **{"weight_column": "w", **changes}).load(tmp_path)


@pytest.mark.parametrize("column", ["height", "color", "kind"])
def test_missing_values_raise_by_column(tmp_path: Path, column: str) -> None:
    spoilt = table()
    spoilt.loc[[3, 4], column] = None
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match=f"column '{column}': got 2 missing values"):
        source(tmp_path / "t.csv").load(tmp_path)


def test_missing_values_in_a_dropped_column_do_not_matter(tmp_path: Path) -> None:
    spoilt = table()
    spoilt.loc[3, "id"] = None
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    source(tmp_path / "t.csv").load(tmp_path)


def test_infinite_values_raise_by_column(tmp_path: Path) -> None:
    spoilt = table()
    spoilt.loc[3, "height"] = np.inf
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match="column 'height': got infinite values"):
        source(tmp_path / "t.csv").load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.xlsx", b"x", "got the suffix '.xlsx', expected .csv, .tsv or .parquet"),
        ("t.csv", b"", "cannot parse table"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot parse table"),
        ("t.csv", b"\xff\xfe\x00", "cannot parse table"),
        ("t.csv", b"kind,color,id\n", "got no rows"),
        ("t.parquet", b"PAR1 no PAR1", "cannot parse table"),
    ],
)
def test_unreadable_tables(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as caught:
        source(tmp_path / name).load(tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.csv: file not found"):
        source(tmp_path / "gone.csv").prepare(tmp_path)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_fraction_is_checked(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="test_fraction"):
        source(tmp_path / "t.csv", test_fraction=fraction)


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigurationError, match=r'pip install "ganmc-lightning\[tabular\]"'):
        source(tmp_path / "t.csv").prepare(tmp_path)


def test_heavy_packages_are_imported_only_when_used() -> None:
    for module in Path(datasets.__path__[0]).glob("*.py"):
        for node in ast.parse(module.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in {"torchvision", "sklearn", "pandas", "lightning"}, module


def test_copies_of_test_images_in_an_npz_file(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), dtype=np.uint8)
    parts = {"train_images": images[:6], "val_images": images[6:8], "test_images": images[[5, 7, 8, 9]]}
    labels = {name.replace("images", "labels"): np.arange(len(part)) % 2 for name, part in parts.items()}
    np.savez(tmp_path / "photos.npz", **parts, **labels)
    with pytest.warns(UserWarning, match=r"photos\.npz: 2 of 4 test images are identical to training or validation"):
        NpzFile(tmp_path / "photos.npz").load(tmp_path)
