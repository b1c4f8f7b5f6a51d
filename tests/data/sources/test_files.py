from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganmc_lightning.data import sources
from ganmc_lightning.data.sources import NpzFile, TableFile
from ganmc_lightning.errors import InputError

pd = pytest.importorskip("pandas", reason="tables need the extra `table`")


def table(n: int = 20) -> Any:
    return pd.DataFrame(
        {
            "id": [f"row {i}" for i in range(n)],
            "height": np.linspace(1.0, 2.0, n),
            "colour": ["red", "blue", "green", "blue"] * (n // 4),
            "happy": [True, False] * (n // 2),
            "kind": ["yes", "no", "maybe", "no"] * (n // 4),
        }
    )


def source(path: Path, **changes: Any) -> TableFile:
    settings: dict[str, Any] = {
        "label_column": "kind",
        "categorical_columns": ["colour"],
        "drop_columns": ["id"],
        **changes,
    }
    return TableFile(path, **settings)


def test_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, X=np.arange(20.0)[:, None], y=np.arange(20) % 2)
    mine = NpzFile(str(path))
    mine.prepare(tmp_path / "unused")
    assert mine.name == "mine"
    assert len(mine.load(tmp_path / "unused").test) == 4
    with pytest.raises(InputError, match=r"gone\.npz: no such file"):
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
    assert unasked.categories == asked.categories == ((1, 4),)
    assert torch.equal(unasked.train.inputs, asked.train.inputs)
    twice = source(tmp_path / "t.csv", categorical_columns=["happy"]).load(tmp_path)
    assert twice.categories == ((1, 4), (4, 6))


def test_text_of_many_values_is_one_on_request_alone(tmp_path: Path) -> None:
    table(24).to_csv(tmp_path / "t.csv", index=False)
    splits = source(tmp_path / "t.csv", categorical_columns=["id"], drop_columns=[]).load(tmp_path)
    assert splits.categories == ((0, 24), (25, 28))


def test_other_objects_are_no_category(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    times = table().assign(when=pd.to_datetime(["2020-01-01", "2021-01-01"] * 10))
    times.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"column 'when' is not numeric \(datetime"):
        source(tmp_path / "t.parquet").load(tmp_path)


def test_numeric_labels_keep_their_order(tmp_path: Path) -> None:
    pd.DataFrame({"x": range(12), "y": [10, 2, 7] * 4}).to_csv(tmp_path / "t.csv", index=False)
    splits = TableFile(tmp_path / "t.csv", "y", test_fraction=0.5).load(tmp_path)
    assert splits.class_names == ("2", "7", "10")
    assert splits.test.labels.bincount().tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_column": "sort"}, "label_column: .* has no column 'sort'; it has id, height, colour"),
        ({"categorical_columns": ["color"]}, "categorical_columns: .* has no column 'color'"),
        ({"drop_columns": ["id", "x"]}, "drop_columns: .* has no column 'x'"),
        ({"drop_columns": ["id", "kind"]}, "label_column: 'kind' is also listed"),
        ({"drop_columns": []}, "column 'id' is not numeric .*24 different values.* categorical_columns"),
        ({"label_column": "height"}, "'height' has 24 classes, and '1.0' occurs only once"),
        ({"drop_columns": ["id", "height", "colour", "happy"]}, "no column besides the label"),
    ],
)
def test_wrong_columns(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    table(24).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=words):
        source(tmp_path / "t.csv", **changes).load(tmp_path)


@pytest.mark.parametrize("column", ["height", "colour", "kind"])
def test_missing_values_are_refused_by_column(tmp_path: Path, column: str) -> None:
    spoilt = table()
    spoilt.loc[[3, 4], column] = None
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=f"column '{column}' lacks 2 values"):
        source(tmp_path / "t.csv").load(tmp_path)


def test_missing_values_in_a_dropped_column_do_not_matter(tmp_path: Path) -> None:
    spoilt = table()
    spoilt.loc[3, "id"] = None
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    source(tmp_path / "t.csv").load(tmp_path)


def test_infinite_values_are_refused_by_column(tmp_path: Path) -> None:
    spoilt = table()
    spoilt.loc[3, "height"] = np.inf
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="column 'height' has infinite values"):
        source(tmp_path / "t.csv").load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.xlsx", b"x", "neither a .csv nor a .parquet"),
        ("t.csv", b"", "cannot be read as a table"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as a table"),
        ("t.csv", b"\xff\xfe\x00", "cannot be read as a table"),
        ("t.csv", b"kind,colour,id\n", "has no rows"),
        ("t.parquet", b"PAR1 no PAR1", "cannot be read as a table"),
    ],
)
def test_unreadable_tables(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        source(tmp_path / name).load(tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: no such file"):
        source(tmp_path / "gone.csv").prepare(tmp_path)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_fraction_is_checked(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InputError, match="test_fraction"):
        source(tmp_path / "t.csv", test_fraction=fraction)


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r'pip install "ganmc-lightning\[table\]"'):
        source(tmp_path / "t.csv").prepare(tmp_path)


def test_heavy_packages_are_imported_only_when_used() -> None:
    for module in Path(sources.__path__[0]).glob("*.py"):
        for node in ast.parse(module.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in {"torchvision", "sklearn", "pandas", "lightning"}, module
