"""Read a CSV or parquet file into a data frame: separators, encodings, headers."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ganmc_lightning.data.datasets.parquet import CELL_BYTES, read_parquet
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import size_limit
from ganmc_lightning.io.input_files import check_regular_file

DELIMITERS = (",", ";", "\t", "|")
"""Possible separators of CSV cells; the header line determines the separator of a file."""
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_table(path: Path, text_columns: Collection[str] | None) -> Any:
    """Read a table; whitespace around column names is stripped.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.parquet`` file, with the suffix in any case.
        text_columns: columns of a CSV file that are read as text, so that ``01`` and ``1`` are distinct; None for all.

    Returns:
        A pandas data frame. No text of a CSV cell is read as a missing value: an empty cell of a text column is an
        empty string.

    Raises:
        ConfigurationError: the file cannot be read, has no rows, has two columns with equal names, or has rows that are
            longer than the header.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".parquet"):
        raise ConfigurationError(f"{path}: got the suffix {suffix!r}, expected .csv, .tsv or .parquet")
    check_regular_file(path)
    try:
        table = _read_parquet(path) if suffix == ".parquet" else _read_csv(path, text_columns)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: cannot parse table: byte {error.start} is not {error.encoding}; save it as UTF-8"
        ) from error
    except ConfigurationError:
        raise
    except ImportError as error:
        raise ConfigurationError(f'{path}: parquet requires pyarrow: pip install "ganmc-lightning[tabular]"') from error
    except Exception as error:  # pandas and pyarrow raise many types on damaged bytes
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{path}: cannot parse table: {reason[:200]}") from error
    if len(table) == 0:
        raise ConfigurationError(f"{path}: got no rows, expected at least one")
    return table


def pandas() -> Any:
    """Import pandas.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ConfigurationError(
            'tables require pandas, which is not installed: pip install "ganmc-lightning[tabular]"'
        ) from error
    return pandas


def unnamed(column: int) -> str:
    """Return the name that pandas assigns to a column without a name."""
    return f"Unnamed: {column}"


def _read_parquet(path: Path) -> Any:
    table = read_parquet(path)
    table.columns = _column_names(path, [str(name) for name in table.columns])
    return table


def _read_csv(path: Path, text_columns: Collection[str] | None) -> Any:
    encoding = _encoding(path)
    header, delimiter = _header(path, encoding)
    names = _column_names(path, header)
    _check_cells(path, len(names))
    table = pandas().read_csv(
        path,
        sep=delimiter,
        encoding=encoding,
        header=0,
        names=names,
        dtype={name: str for name in names if text_columns is None or name in text_columns},
        keep_default_na=False,
        skipinitialspace=True,
        low_memory=False,  # when reading in chunks, pandas may infer two types for one column
    )
    if not isinstance(table.index, pandas().RangeIndex):  # pandas uses a surplus column as index
        raise ConfigurationError(
            f"{path}: got rows with more cells than the {len(names)} names of the header, expected a name per column"
        )
    # A separator at the end of every line results in a last column without name and cells.
    blank = [unnamed(k) for k, name in enumerate(header) if not name.strip() and _is_blank(table[unnamed(k)])]
    return table.drop(columns=blank)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")


def _header(path: Path, encoding: str) -> tuple[list[str], str]:
    """Return header cells and delimiter: equal numbers of cells in two lines have priority, then the largest number."""
    best: tuple[tuple[bool, int], list[str], str] | None = None
    for delimiter in "\t" if path.suffix.lower() == ".tsv" else DELIMITERS:
        with path.open(encoding=encoding, newline="") as file:
            lines = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            first = list(islice((cells for cells in lines if cells), 2))
        if not first:
            raise ValueError("the file is empty")
        header = first[0]
        fit = (len(header) == len(first[-1]) > 1, len(header))
        if best is None or fit > best[0]:
            best = (fit, header, delimiter)
    assert best is not None
    return best[1:]


def _column_names(path: Path, header: Sequence[str]) -> list[str]:
    names = [name.strip() or unnamed(column) for column, name in enumerate(header)]
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigurationError(f"{path}: got {count} columns {name!r}, expected distinct names")
    return names


def _check_cells(path: Path, columns: int) -> None:
    """Limit the table that short rows of a wide header are filled up to."""
    with path.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))
    if CELL_BYTES * lines * columns > size_limit(path):
        raise ConfigurationError(
            f"{path}: got {lines:,} rows for {columns:,} columns in {path.stat().st_size:,} bytes, expected a cell per "
            "row and column"
        )


def _is_blank(column: Any) -> bool:
    return bool((column.isna() | (column.astype(str).str.strip() == "")).all())
