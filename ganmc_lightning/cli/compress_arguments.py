"""Arguments of ``ganmc compress``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ganmc_lightning.cli.compress_image_arguments import add_image_arguments, validate_image_arguments
from ganmc_lightning.cli.seed import check_seed
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import check_checkpoint_exists
from ganmc_lightning.io.export_formats import split_names

KINDS = ("boosting", "tree", "forest")
SEARCH_SECONDS = 120.0
"""Copies of the constants in ``ganmc_lightning.tabular``, whose import takes seconds; a test compares them."""
FOREST = "forest"
"""Value of ``--teacher`` that fits a forest to the table."""
TABLES = (".csv", ".tsv", ".parquet")
BYTES = {"": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 1000**2, "mb": 1000**2, "mib": 1024**2}
SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
TABLE_OPTIONS = (
    "task",
    "weight",
    "students",
    "drop",
    "validation",
    "test",
    "max_nodes",
    "max_bytes",
    "max_predict_seconds",
)
IMAGE_OPTIONS = (
    *("student", "smaller", "loss", "epochs", "batch_size", "image_size", "gray", "no_flip", "baseline", "synthetic"),
    *("unlabeled", "format", "teacher_args", "student_args", "teacher_mean", "teacher_std", "teacher_size"),
    *("teacher_classes", "teacher_probabilities"),
)
"""Options of one kind of data; their default is None or False."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="DATA",
        help="images: a folder, .npz, a table of files and labels, hf:NAME, or e.g. cifar10; or a fitted model "
        "(.skops; .json or .ubj of XGBoost; .txt of LightGBM; .joblib or .pkl with --trust) and its table (.csv, .tsv "
        "or .parquet)",
    )
    add("--out", type=Path, required=True, metavar="FOLDER", help="folder for the student and its card")
    add(
        "--teacher",
        metavar="NETWORK",
        help="images: checkpoint, timm:NAME[:WEIGHTS], torchvision:NAME[:WEIGHTS], hf:NAME or MODULE:FACTORY[:WEIGHTS];"
        f" tables: {FOREST}, to fit a random forest of 500 trees",
    )
    add(
        "--gan",
        nargs="?",
        const=True,
        metavar="CHECKPOINT",
        help="also try samples of a GAN; without CHECKPOINT, for images, it is trained on the data",
    )
    add(
        "--time",
        metavar="TIME",
        help="limit, e.g. 30m: images: of the training, by fewer epochs; tables: of the search (default: "
        f"{SEARCH_SECONDS:.0f} s)",
    )
    add("--trust", action="store_true", help="read models whose files can run code: pickles, other types in .skops")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add_image_arguments(parser.add_argument_group("images"))
    _add_table_arguments(parser.add_argument_group("tables"))


def _add_table_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--target", metavar="COLUMN", help="column to predict; required for tables")
    add("--task", choices=["auto", "classification", "regression"], help="default: by model or target")
    add("--weight", metavar="COLUMN", help="column of sample weights, not used as a feature")
    add("--students", type=split_names, metavar="A,B", help=f"kinds to compare (default: {','.join(KINDS)})")
    add(
        "--drop",
        type=split_names,
        metavar="A,B",
        help="columns to ignore, such as row numbers; names with commas in quotes: '\"A, cm\",B'",
    )
    add("--validation", type=Path, metavar="TABLE", help="rows to choose the student on (default: a part of TABLE)")
    add("--test", type=Path, metavar="TABLE", help="rows for the scores of the card (default: a fifth of TABLE)")
    add("--max-nodes", type=int, metavar="N", help="largest number of nodes (default: one per row, 99 to 10000)")
    add("--max-bytes", metavar="SIZE", help="largest exported file, e.g. 64k (default: no limit)")
    add(
        "--max-predict-seconds",
        type=float,
        metavar="SECONDS",
        help="longest prediction time of a row in Python, in a batch (default: no limit)",
    )


def is_table(arguments: argparse.Namespace) -> bool:
    """Return whether the command compresses a tabular model; a table of image paths has no ``--target``."""
    return bool(
        arguments.target is not None
        or arguments.teacher == FOREST
        or len(arguments.inputs) > 1
        or (arguments.teacher is None and Path(arguments.inputs[0]).suffix.lower() in TABLES)
    )


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate the options of the kind of data, and that the files exist.

    Raises:
        ConfigurationError: a size or a path is invalid, or an option is not one of the kind of data.
    """
    table = is_table(arguments)
    kind, other, options = ("tables", "images", IMAGE_OPTIONS) if table else ("images", "tables", TABLE_OPTIONS)
    for name in options:
        if getattr(arguments, name) not in (None, False):
            raise ConfigurationError(
                f"--{name.replace('_', '-')}: is an option for {other}, expected options for {kind} with "
                f"{' '.join(arguments.inputs)}"
            )
    check_seed(arguments.seed)
    if arguments.time is not None:
        arguments.time = parse_time_limit(arguments.time)
    if table:
        _validate_table_arguments(arguments)
    else:
        validate_image_arguments(arguments)


def _validate_table_arguments(arguments: argparse.Namespace) -> None:
    """Validate the arguments for a table, and set their defaults."""
    paths = input_paths(arguments)
    if arguments.target is None:
        raise ConfigurationError(f"--target: missing, expected the column of {paths[1]} to predict")
    if arguments.max_bytes is not None:
        parse_size(arguments.max_bytes)
    for path in (*paths, arguments.validation, arguments.test):
        if path is not None and not path.is_file():
            raise ConfigurationError(f"{path}: file not found")
    if arguments.gan is True:
        raise ConfigurationError("--gan: got no checkpoint, expected one of a tabular GAN trained by ganmc fit")
    if arguments.gan is not None:
        check_checkpoint_exists(arguments.gan)
    arguments.task = arguments.task or "auto"
    arguments.students = list(KINDS) if arguments.students is None else arguments.students
    arguments.drop = arguments.drop or []
    arguments.time = SEARCH_SECONDS if arguments.time is None else arguments.time


def parse_size(text: str) -> int:
    """Parse a number of bytes with a unit.

    Raises:
        ConfigurationError: no number, or an unknown unit.

    Example:
        >>> parse_size("64k"), parse_size("1.5MB"), parse_size("2KiB")
        (64000, 1500000, 2048)
    """
    size = _parse_quantity(text, BYTES)
    if size is None:
        raise ConfigurationError(f"--max-bytes: got {text!r}, expected a size such as 64k, 64KiB or 1.5MB")
    return round(size)


def parse_time_limit(text: str) -> float:
    """Parse a duration; return seconds.

    Raises:
        ConfigurationError: no positive number, or an unknown unit.

    Example:
        >>> parse_time_limit("30m"), parse_time_limit("1.5h"), parse_time_limit("90")
        (1800.0, 5400.0, 90.0)
    """
    seconds = _parse_quantity(text, SECONDS)
    if not seconds:
        raise ConfigurationError(f"--time: got {text!r}, expected a duration such as 90, 30m or 1.5h")
    return seconds


def _parse_quantity(text: str, units: dict[str, int]) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in units:
        return None
    return float(match[1]) * units[match[2].lower()]


def input_paths(arguments: argparse.Namespace) -> tuple[Path | None, Path]:
    """Return the paths of the model, None with ``--teacher``, and of the table.

    Raises:
        ConfigurationError: another number of paths, or the suffix is not that of a table.
    """
    if arguments.teacher not in (None, FOREST):
        raise ConfigurationError(
            f"--teacher: got {arguments.teacher!r}, expected {FOREST} for a table; the path of a fitted model is the "
            "first argument"
        )
    paths = [Path(text).expanduser() for text in arguments.inputs]
    expected = 1 if arguments.teacher else 2
    if len(paths) != expected:
        needed = "one table with --teacher" if arguments.teacher else "a model and a table, or --teacher and a table"
        raise ConfigurationError(f"inputs: got {' '.join(arguments.inputs)}, expected {needed}")
    table = paths[-1]
    if table.suffix.lower() not in TABLES:
        raise ConfigurationError(f"{table}: got the suffix {table.suffix!r}, expected a table: {', '.join(TABLES)}")
    return (None if arguments.teacher else paths[0]), table
