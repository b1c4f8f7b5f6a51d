"""Read parquet files in small batches, because 10 kB with a dictionary can contain a billion long texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import MAX_EXPANSION, size_limit

CELL_BYTES = 8
"""Minimum memory of a cell of a data frame."""
_BATCH = 1024


def read_parquet(path: Path) -> Any:
    """Read a parquet file as a pandas data frame.

    Args:
        path: the file.

    Raises:
        ConfigurationError: the table has more bytes than :func:`~ganmc_lightning.io.archives.size_limit`.
        ImportError: pyarrow is not installed.
        ValueError: the file is damaged; pyarrow also raises other exceptions.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        rows, limit = file.metadata.num_rows, size_limit(path)
        if rows * max(1, len(schema)) * CELL_BYTES > limit:
            raise _too_large(path, rows * max(1, len(schema)) * CELL_BYTES)
        batches = list(_limited(file.iter_batches(batch_size=_BATCH), path, limit, texts))
    return pa.Table.from_batches(batches, schema=schema).to_pandas()


def _limited(batches: Iterator[Any], path: Path, limit: int, texts: list[str]) -> Iterator[Any]:
    """Decode the dictionaries of text columns after checking the size of the texts."""
    import pyarrow as pa
    from pyarrow import compute

    total = 0
    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        encoded = {name: columns[name] for name in texts if pa.types.is_dictionary(columns[name].type)}
        total += sum(column.nbytes for name, column in columns.items() if name not in encoded)
        for column in encoded.values():
            total += compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0
        if total > limit:
            raise _too_large(path, total)
        columns |= {name: column.dictionary_decode() for name, column in encoded.items()}
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _too_large(path: Path, size: int) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: got a table of {size:,} bytes or more in a file of {path.stat().st_size:,}, expected at most "
        f"{MAX_EXPANSION} times its size; save it as .csv"
    )
