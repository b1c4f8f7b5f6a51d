"""Write a compression to a folder: skops, C, ONNX and the card, complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import temporary_path
from ganmc_lightning.io.folder_lock import LOCK
from ganmc_lightning.tabular.card import CompressionCard, measure_card, write_card
from ganmc_lightning.tabular.compress import Compression
from ganmc_lightning.tabular.compress_search import deployable
from ganmc_lightning.tabular.export import load_skops, save_skops, to_c, to_c_encoder, to_c_int16, to_onnx
from ganmc_lightning.tabular.export.boosting import is_boosting

CARD, INTEGERS = "card.html", "student_int16.c"
SOURCES = ("student.c", "student.h", "student_encode.h", INTEGERS, "student_int16.h")
FILES = ("student.skops", *SOURCES, "student.onnx", CARD, "result.json")
"""Files of a folder that another compression may replace."""


def check_output_folder(folder: Path) -> None:
    """Validate that a folder does not exist, is empty or contains only files of an earlier compression.

    Raises:
        ConfigurationError: it is a file, or contains other files.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder}: is a file, expected a folder")
    if folder.is_dir():
        others = sorted({path.name for path in folder.iterdir()} - {*FILES, LOCK})
        if others:
            raise ConfigurationError(
                f"{folder}: contains {others[0]!r}, expected a new or empty folder, or one of an earlier compression"
            )


def write_compression(
    compression: Compression,
    folder: Path | str,
    command: str = "",
    environment: Mapping[str, str] | None = None,
    add_files: Callable[[CompressionCard, Path], None] | None = None,
) -> CompressionCard:
    """Write ``student.skops``, ``student.c``, ``student_int16.c``, their headers, ``student.onnx`` and ``card.html``.

    ``student.skops`` predicts rows of the table. The C source and ONNX predict encoded columns, which the header of the
    C source lists; for a table with categories, ``student_encode.h`` encodes a row in C. A format that does not support
    the student is skipped. The files are written to a temporary folder that replaces ``folder`` when all are complete.

    Args:
        compression: result of :func:`~ganmc_lightning.tabular.compress_table`.
        folder: output folder; a folder of an earlier compression is replaced.
        command: command line for the card (default: none).
        environment: name -> value for the card, such as versions of packages (default: none).
        add_files: called with the card and the temporary folder to write further files, or None.

    Returns:
        The card.

    Raises:
        ConfigurationError: the folder contains other files or cannot be written, or the student cannot be stored.
    """
    folder = Path(folder)
    check_output_folder(folder)
    temporary = temporary_path(folder)
    try:
        try:
            temporary.mkdir(parents=True)
        except OSError as error:
            raise ConfigurationError(f"{folder}: cannot be written ({error.strerror})") from error
        _export(compression, temporary)
        files = {name: (temporary / name).stat().st_size for name in FILES if (temporary / name).exists()}
        card = measure_card(compression, command, files, environment)
        write_card(card, temporary / CARD)
        if add_files is not None:
            add_files(card, temporary)
        _replace(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def _export(compression: Compression, folder: Path) -> None:
    file = save_skops(compression.student, folder / "student.skops")
    if compression.model.encoder_ is not None:  # save_skops verifies models of numbers only
        _verify_pipeline(compression, file)
    inner = deployable(compression.model)
    writers: dict[str, Callable[[Any, Path], object]] = {
        "student.c": to_c,
        INTEGERS: partial(to_c_int16, X=compression.encode(compression.rows.X)),
        "student.onnx": to_onnx,
    }
    for name, write in writers.items():
        try:
            write(inner, folder / name)
        except ConfigurationError as error:
            if "support" not in str(error):
                raise
    if compression.model.encoder_ is not None and (folder / "student.c").exists():
        feature_bytes = 8 if is_boosting(inner) else 4
        to_c_encoder(compression.model.encoder_, folder / "student_encode.h", "student", feature_bytes)


def _verify_pipeline(compression: Compression, file: Path) -> None:
    X = compression.rows.X_test
    expected, actual = (_outputs(model, X) for model in (compression.student, load_skops(file)))
    if not np.array_equal(expected, actual):
        raise ConfigurationError(f"{file}: the predictions of the file differ from the student's")


def _outputs(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def _replace(folder: Path, temporary: Path) -> None:
    """Rename the temporary folder; an earlier folder is renamed first, so that one of the two always exists."""
    earlier = temporary_path(folder, "old")
    try:
        if folder.exists():
            folder.rename(earlier)
        temporary.rename(folder)
    except OSError as error:
        if earlier.exists() and not folder.exists():
            earlier.rename(folder)
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror})") from error
    shutil.rmtree(earlier, ignore_errors=True)
