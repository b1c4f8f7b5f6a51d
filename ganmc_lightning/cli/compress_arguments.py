"""Arguments of ``ganmc compress``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import check_checkpoint_exists

KINDS = ("boosting", "tree", "forest")
SEARCH_SECONDS = 120.0
"""Copies of the constants in ``ganmc_lightning.tabular``, whose import takes seconds; a test compares them."""
TABLES = (".csv", ".tsv", ".parquet")
UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 1000**2, "mb": 1000**2, "mib": 1024**2}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="[MODEL] TABLE",
        help="fitted model (.skops; .json or .ubj of XGBoost; .txt of LightGBM; .joblib or .pkl with --trust) and "
        "training table (.csv, .tsv or .parquet); only the table with --teacher",
    )
    add("--target", required=True, metavar="COLUMN", help="column to predict")
    add("--out", type=Path, required=True, metavar="FOLDER", help="new folder for the student and its card")
    add("--teacher", choices=["forest"], help="fit a random forest of 500 trees instead of reading a model")
    add("--trust", action="store_true", help="read models whose files can run code: pickles, other types in .skops")
    add("--task", choices=["auto", "classification", "regression"], default="auto", help="default: by model or target")
    add(
        "--students",
        type=_split_names,
        default=list(KINDS),
        metavar="A,B",
        help=f"kinds to compare (default: {','.join(KINDS)})",
    )
    add("--drop", type=_split_names, default=[], metavar="A,B", help="columns to ignore, such as row numbers")
    add("--validation", type=Path, metavar="TABLE", help="rows to choose the student on (default: a part of TABLE)")
    add("--test", type=Path, metavar="TABLE", help="rows for the scores of the card (default: a fifth of TABLE)")
    add("--max-nodes", type=int, metavar="N", help="largest number of nodes (default: one per row, at most 10000)")
    add("--max-bytes", metavar="SIZE", help="largest exported file, e.g. 64k (default: no limit)")
    add(
        "--max-predict-seconds",
        type=float,
        metavar="SECONDS",
        help="longest prediction time of a row in Python, in a batch (default: no limit)",
    )
    add(
        "--time",
        type=float,
        default=SEARCH_SECONDS,
        metavar="SECONDS",
        help=f"time limit of the search (default: {SEARCH_SECONDS:.0f})",
    )
    add("--gan", metavar="CHECKPOINT", help="also try rows of a tabular GAN trained by ganmc fit")
    add("--seed", type=int, default=0, help="random seed (default: 0)")


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate the size limit, and that the files exist.

    Raises:
        ConfigurationError: a size or a path is invalid.
    """
    if arguments.max_bytes is not None:
        parse_size(arguments.max_bytes)
    for path in (*input_paths(arguments), arguments.validation, arguments.test):
        if path is not None and not path.is_file():
            raise ConfigurationError(f"{path}: file not found")
    if arguments.gan is not None:
        check_checkpoint_exists(arguments.gan)


def parse_size(text: str) -> int:
    """Parse a number of bytes with a unit.

    Raises:
        ConfigurationError: no number, or an unknown unit.

    Example:
        >>> parse_size("64k"), parse_size("1.5MB"), parse_size("2KiB")
        (64000, 1500000, 2048)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in UNITS:
        raise ConfigurationError(f"--max-bytes: got {text!r}, expected a size such as 64k, 64KiB or 1.5MB")
    return round(float(match[1]) * UNITS[match[2].lower()])


def input_paths(arguments: argparse.Namespace) -> tuple[Path | None, Path]:
    """Return the paths of the model, None with ``--teacher``, and of the table.

    Raises:
        ConfigurationError: another number of paths, or the suffix is not that of a table.
    """
    paths = [Path(text).expanduser() for text in arguments.inputs]
    expected = 1 if arguments.teacher else 2
    if len(paths) != expected:
        needed = "one table with --teacher" if arguments.teacher else "a model and a table, or --teacher and a table"
        raise ConfigurationError(f"inputs: got {' '.join(arguments.inputs)}, expected {needed}")
    table = paths[-1]
    if table.suffix.lower() not in TABLES:
        raise ConfigurationError(f"{table}: got the suffix {table.suffix!r}, expected a table: {', '.join(TABLES)}")
    return (None if arguments.teacher else paths[0]), table


def _split_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
