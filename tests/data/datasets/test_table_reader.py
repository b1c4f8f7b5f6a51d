"""CSV dialects result in equal tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganmc_lightning.data.datasets.table_reader import read_table
from ganmc_lightning.exceptions import ConfigurationError

pytest.importorskip("pandas", reason="tables need the extra `tabular`")

LINES = ["size,number,kind", *(f"{k * 0.5},{k % 7},{'None' if k % 2 else 'Some'}" for k in range(12))]
PLAIN = "\n".join(LINES) + "\n"


def read(path: Path, text: str, encoding: str = "utf-8", name: str = "t.csv") -> list[list[object]]:
    (path / name).write_bytes(text.encode(encoding))
    table = read_table(path / name, ["kind"])
    return [table.columns.tolist(), *table.to_numpy().tolist()]


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (PLAIN.replace(",", ";"), "utf-8", "t.csv"),
        (PLAIN.replace(",", "\t"), "utf-8", "t.csv"),
        (PLAIN.replace(",", "\t"), "utf-8", "T.TSV"),
        (PLAIN.replace(",", "|"), "utf-8", "t.csv"),
        (PLAIN, "utf-8-sig", "t.csv"),
        (PLAIN, "utf-16", "t.csv"),
        (PLAIN.replace(",", ", "), "utf-8", "t.csv"),
        (PLAIN.replace("size,number", " size ,number\t"), "utf-8", "t.csv"),
        (PLAIN.replace("\n", "\r\n"), "utf-8", "T.CSV"),
        (PLAIN.replace("\n", ",\n"), "utf-8", "t.csv"),
        ("\n" + PLAIN.replace("size,", '"size",'), "utf-8", "t.csv"),
    ],
)
def test_dialects(tmp_path: Path, text: str, encoding: str, name: str) -> None:
    assert read(tmp_path, text, encoding, name) == read(tmp_path, PLAIN)


def test_text_is_never_a_missing_value_and_stays_text(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,kind\nNA,01\n,1\n")
    assert rows == [["a", "kind"], ["NA", "01"], ["", "1"]]


def test_commas_in_a_name_or_cell_do_not_separate(tmp_path: Path) -> None:
    assert read(tmp_path, "price, EUR;kind\n1;a\n")[0] == ["price, EUR", "kind"]
    assert read(tmp_path, '"price, EUR",kind\n1,"a,b"\n') == [["price, EUR", "kind"], [1, "a,b"]]


def test_a_column_without_a_name_is_kept_unless_it_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, ",a,kind\n7,1,x\n8,2,y\n")[0] == ["Unnamed: 0", "a", "kind"]


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("a,kind,kind\n1,x,x\n", "utf-8", "got 2 columns 'kind', expected distinct names"),
        ("a,kind, a\n1,x,2\n", "utf-8", "got 2 columns 'a'"),
        ("größe,kind\n1,x\n", "latin-1", "byte 2 is not utf-8.*save it as UTF-8"),
        ("a,kind\nrow1,1,x\nrow2,2,y\n", "utf-8", "got rows with more cells than the 2 names"),
        ("a,kind\n1,x\n1,x,2,3\n", "utf-8", "cannot parse table"),
    ],
)
def test_ambiguous_files_raise(tmp_path: Path, text: str, encoding: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"t\.csv: .*{words}") as caught:
        read(tmp_path, text, encoding)
    assert "\n" not in str(caught.value)


def test_parquet_names_are_stripped_and_must_differ(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    pd.DataFrame({" a": [1, 2], "kind ": ["x", "y"]}).to_parquet(tmp_path / "t.PARQUET")
    assert read_table(tmp_path / "t.PARQUET", []).columns.tolist() == ["a", "kind"]
    pd.DataFrame({" a": [1, 2], "a": ["x", "y"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ConfigurationError, match="got 2 columns 'a'"):
        read_table(tmp_path / "t.parquet", [])
