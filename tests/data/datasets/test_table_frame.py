from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ganmc_lightning.data.datasets.table_frame import read_target_table
from ganmc_lightning.exceptions import ConfigurationError


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_missing_values_and_text(tmp_path, separator):
    text = "size,color,big,sold\n1.5,red,true,yes\n?, ,false,no\n-,blue,true,yes\n"
    X, y, _ = read_target_table(write(tmp_path / "t.csv", text.replace(",", separator)), "sold")
    assert list(X.columns) == ["size", "color", "big"]
    np.testing.assert_array_equal(X["size"], [1.5, np.nan, np.nan])
    assert X["color"].tolist()[::2] == ["red", "blue"]
    assert pd.isna(X["color"].iloc[1])
    assert y.tolist() == ["yes", "no", "yes"]


def test_parquet_equals_csv(tmp_path):
    frame = pd.DataFrame({"a": [1, 2, 4], "b": ["x", None, "z"], "y": [0.5, 1.5, 2.5]})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    for one, other in zip(
        read_target_table(tmp_path / "t.parquet", "y")[:2], read_target_table(tmp_path / "t.csv", "y")[:2], strict=True
    ):
        assert one.equals(other)


def test_columns_of_another_table(tmp_path):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "code,n,y\nx,1,0\n7,2,1\n"), "y")
    other, *_ = read_target_table(write(tmp_path / "b.csv", "extra,n,y,code\n1,3,0,7\n2,4,1,8\n"), "y", like=X)
    assert list(other.columns) == ["code", "n"]
    assert other["code"].tolist() == ["7", "8"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_numbers_of_a_text_column_keep_their_digits(tmp_path, suffix):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "code,y\nx,0\nz,0\n1234567,1\n007,1\n"), "y")
    code = ["1234567", "007", None] if suffix == "csv" else [1234567, 7, np.nan]
    frame = pd.DataFrame({"code": code, "y": [0, 1, 1]})
    path = tmp_path / f"b.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    other, *_ = read_target_table(path, "y", like=X)
    assert other["code"].isna().tolist() == [False, False, True]
    assert other["code"].tolist()[:2] == ["1234567", "007" if suffix == "csv" else "7"]


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
def test_missing_booleans(tmp_path, spelling):
    """Booleans are numbers with and without missing values, in CSV and parquet."""
    cells = [spelling("True"), spelling("False"), spelling("False")]
    text = "a,big,y\n1,{},0\n3,{},1\n7,{},1\n"
    X, *_ = read_target_table(write(tmp_path / "a.csv", text.format(*cells)), "y")
    assert X["big"].tolist() == [1, 0, 0]
    path = write(tmp_path / "b.csv", text.format(cells[0], "", cells[1]))
    pd.DataFrame({"a": [1, 3, 7], "big": [True, None, False], "y": [0, 1, 1]}).to_parquet(tmp_path / "b.parquet")
    for file in (path, tmp_path / "b.parquet"):
        for like in (None, X):
            other, *_ = read_target_table(file, "y", like=like)
            assert other["big"].dtype == np.float64
            np.testing.assert_array_equal(other["big"], [1, np.nan, 0])


def test_booleans_of_a_text_column_stay_text(tmp_path):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "big,y\nTrue,0\nmaybe,0\nFalse,1\n"), "y")
    pd.DataFrame({"big": [True, None, False], "y": [0, 1, 1]}).to_parquet(tmp_path / "b.parquet")
    for file in (write(tmp_path / "b.csv", "big,y\nTrue,0\n,1\nFalse,1\n"), tmp_path / "b.parquet"):
        other, *_ = read_target_table(file, "y", like=X)
        assert other["big"].isna().tolist() == [False, True, False]
        assert other["big"].tolist()[::2] == ["True", "False"]


def test_a_copy_of_a_target_of_booleans(tmp_path):
    pd.DataFrame({"a": [1, 2], "copy": ["True", "False"], "y": ["True", "False"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ConfigurationError, match="column 'copy' is a copy of the target"):
        read_target_table(tmp_path / "a.parquet", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,Sold\n1,yes\n2,no\n", "--target: .* has no column 'sold', did you mean 'Sold'"),
        ("a,sold\n1,yes\n2,\n", "column 'sold': got 1 missing values"),
        ("sold\nyes\nno\n", "got no feature columns"),
        (",a,sold\n0,5,yes\n1,6,no\n", r"column 'Unnamed: 0' has no name .*; drop it \(--drop\)"),
        ("id,a,sold\n" + "".join(f"{n},{n % 3},{'yn'[n % 2]}\n" for n in range(20)), "column 'id' numbers the rows"),
        ("who,a,sold\n" + "".join(f"p{n},{n % 3},{'yn'[n % 2]}\n" for n in range(20)), "column 'who' has another text"),
        ("a,copy,sold\n1,yes,yes\n2,no,no\n", "column 'copy' is a copy of the target"),
        ('a,sold\n"1,234",yes\n"5,678",no\n', "numbers written as text, e.g. '1,234'"),
    ],
)
def test_errors(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message):
        read_target_table(write(tmp_path / "t.csv", text), "sold")


def test_errors_of_another_table(tmp_path):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "a,b,y\n1,2,0\n3,5,1\n"), "y")
    with pytest.raises(ConfigurationError, match=r"b\.csv: has no column 'b'"):
        read_target_table(write(tmp_path / "b.csv", "a,y\n1,0\n3,1\n"), "y", like=X)
    with pytest.raises(ConfigurationError, match="column 'b': got the text 'x', expected numbers"):
        read_target_table(write(tmp_path / "c.csv", "a,b,y\n1,x,0\n3,2,1\n"), "y", like=X)
    with pytest.raises(ConfigurationError, match=r"--drop: .* has no column 'c'"):
        read_target_table(tmp_path / "a.csv", "y", ["c"])
    with pytest.raises(ConfigurationError, match="file not found"):
        read_target_table(tmp_path / "none.csv", "y")


def test_weights_are_read_apart_from_the_features(tmp_path):
    path = write(tmp_path / "t.csv", "a,w,y\n0.5,1,1\n0.25,2,2\n0.75,3,3\n")
    X, _, weight = read_target_table(path, "y", weight="w")  # w is a copy of the target, and numbers the rows
    assert (list(X.columns), weight.tolist()) == (["a"], [1.0, 2.0, 3.0])
    path = write(tmp_path / "u.csv", "a,w,y\n0.5,heavy,0\n0.25,light,1\n")
    with pytest.raises(ConfigurationError, match=r"u\.csv: column 'w': got text, expected numbers"):
        read_target_table(path, "y", weight="w")
    with pytest.raises(ConfigurationError, match="got no feature columns"):
        read_target_table(write(tmp_path / "v.csv", "w,y\n1,0\n2,1\n"), "y", weight="w")


@pytest.mark.parametrize("blank", ["", "?", "-", "None"])
def test_a_blank_column_of_numbers_in_another_table(tmp_path, blank):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "a,b,y\n1,2,0\n3,5,1\n"), "y")
    other, *_ = read_target_table(write(tmp_path / "b.csv", f"a,b,y\n1,{blank},0\n3,{blank},1\n"), "y", like=X)
    assert other["b"].dtype == np.float64
    assert other["b"].isna().all()
    with pytest.raises(ConfigurationError, match="column 'b': got the text 'x', expected numbers"):
        read_target_table(write(tmp_path / "c.csv", f"a,b,y\n1,{blank},0\n3,x,1\n"), "y", like=X)


def test_a_blank_column_of_numbers_in_parquet(tmp_path):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "a,b,y\n1,2,0\n3,5,1\n"), "y")
    pd.DataFrame({"a": [1, 3], "b": [None, None], "y": [0, 1]}).to_parquet(tmp_path / "b.parquet")
    other, *_ = read_target_table(tmp_path / "b.parquet", "y", like=X)
    assert other["b"].dtype == np.float64


def test_dropped_columns_are_optional_in_another_table(tmp_path):
    X, *_ = read_target_table(write(tmp_path / "a.csv", "id,a,y\n7,2,0\n9,5,1\n"), "y", ["id"])
    other, *_ = read_target_table(write(tmp_path / "b.csv", "a,y\n1,0\n3,1\n"), "y", ["id"], like=X)
    assert list(other.columns) == ["a"]
