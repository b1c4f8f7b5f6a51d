"""Tables that would expand to gigabytes are refused; parquet tables keep their types."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from ganmc_lightning.data.datasets.parquet import read_parquet
from ganmc_lightning.data.datasets.table_reader import read_table
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io import archives


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 2**20)


def test_long_text_in_every_row(tmp_path):
    """A dictionary stores the text once."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 10_000]))
    parquet.write_table(pa.table({"text": column}), tmp_path / "x.parquet", store_schema=False)
    with pytest.raises(ConfigurationError, match=r"x.parquet: got a table of [\d,]+ bytes or more in a file of"):
        read_table(tmp_path / "x.parquet", None)


def test_many_equal_rows(tmp_path):
    table = pa.table({"a": pa.array([0] * 1_000_000, pa.int8())})
    parquet.write_table(table, tmp_path / "x.parquet", compression="zstd")
    with pytest.raises(ConfigurationError, match="got a table of 8,000,000 bytes or more"):
        read_table(tmp_path / "x.parquet", None)


def test_short_rows_of_a_wide_header(tmp_path):
    (tmp_path / "x.csv").write_text(",".join(f"c{k}" for k in range(2000)) + "\n" + "1\n" * 2000)
    with pytest.raises(ConfigurationError, match=r"got 2,001 rows for 2,000 columns in [\d,]+ bytes, expected a cell"):
        read_table(tmp_path / "x.csv", None)


def test_full_rows_of_a_wide_table(tmp_path):
    """A table of the same number of cells, each of which is in the file."""
    (tmp_path / "x.csv").write_text(",".join(f"c{k}" for k in range(400)) + "\n" + (",".join("1" * 400) + "\n") * 400)
    assert read_table(tmp_path / "x.csv", ()).shape == (400, 400)


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"", b"\xff" * 50])
def test_damaged_parquet(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x.parquet: cannot parse table"):
        read_table(tmp_path / "x.parquet", None)


def test_types_are_those_of_pandas(tmp_path):
    table = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, None, 1], "t": ["a", None, "b"], "b": [True, False, True]})
    table["c"] = table["t"].astype("category")
    table.to_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "x.parquet"), pd.read_parquet(tmp_path / "x.parquet"))
