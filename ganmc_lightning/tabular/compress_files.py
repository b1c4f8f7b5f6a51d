"""Write a compression to a folder: skops, C, ONNX and the card, complete or not at all."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import temporary_path
from ganmc_lightning.io.folder_lock import LOCK
from ganmc_lightning.tabular.card import CompressionCard, measure_card, write_card
from ganmc_lightning.tabular.card.card import output_function
from ganmc_lightning.tabular.card.latency import measure_compiled
from ganmc_lightning.tabular.compress import Compression
from ganmc_lightning.tabular.compress_search import deployable
from ganmc_lightning.tabular.export import (
    FixedPointReport,
    load_skops,
    save_skops,
    to_c,
    to_c_encoder,
    to_c_int16,
    to_onnx,
)
from ganmc_lightning.tabular.export.boosting import is_boosting
from ganmc_lightning.tabular.export.onnx import count_label_differences
from ganmc_lightning.tabular.sampling import check_float32

CARD, SOURCE, INTEGERS, ONNX = "card.html", "student.c", "student_int16.c", "student.onnx"
SOURCES = (SOURCE, "student.h", "student_encode.h", INTEGERS, "student_int16.h")
FILES = ("student.skops", *SOURCES, ONNX, CARD, "result.json")
"""Files of a folder that another compression may replace."""


def check_output_folder(folder: Path) -> Path:
    """Validate that a folder does not exist, is empty or contains only files of an earlier compression.

    Returns:
        The absolute path, without symbolic links: a link to the folder remains one.

    Raises:
        ConfigurationError: it is a file or a mount point, which cannot be renamed, or contains other files.
    """
    folder = folder.resolve()
    if os.path.ismount(folder):
        raise ConfigurationError(f"{folder}: is a mount point, expected a folder in it")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder}: is a file, expected a folder")
    if folder.is_dir():
        others = sorted({path.name for path in folder.iterdir()} - {*FILES, LOCK})
        if others:
            raise ConfigurationError(
                f"{folder}: contains {others[0]!r}, expected a new or empty folder, or one of an earlier compression"
            )
    return folder


def write_compression(
    compression: Compression,
    folder: Path | str,
    command: str = "",
    environment: Mapping[str, str] | None = None,
    add_files: Callable[[CompressionCard, Path], None] | None = None,
) -> CompressionCard:
    """Write ``student.skops``, ``student.c``, ``student_int16.c``, their headers, ``student.onnx`` and ``card.html``.

    ``student.skops`` predicts rows of the table. The C source and ONNX predict encoded columns, which the header of the
    C source lists; for a table with categories, ``student_encode.h`` encodes a row in C. A file that cannot be written
    for the student, except ``student.skops``, is omitted; a warning and the card give the reason. The files are written
    to a temporary folder that replaces ``folder`` when all are complete; the files of the current folder are replaced.

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
    folder = check_output_folder(Path(folder))
    temporary = temporary_path(folder)
    try:
        try:
            temporary.mkdir(parents=True)
        except OSError as error:
            raise ConfigurationError(f"{folder}: cannot be written ({error.strerror})") from error
        notes, source, rounded = _export(compression, temporary)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        files = {name: (temporary / name).stat().st_size for name in FILES if (temporary / name).exists()}
        compiled = measure_compiled(source, rounded, compression.encode(compression.rows.X_test))
        card = measure_card(compression, command, files, environment, export_notes=notes, compiled=compiled)
        write_card(card, temporary / CARD)
        if add_files is not None:
            add_files(card, temporary)
        _replace(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def _export(compression: Compression, folder: Path) -> tuple[list[str], Path | None, FixedPointReport | None]:
    """Write the files.

    Returns:
        What differs in the files and which ones are not written, the C source, and the report of 16-bit integers; None
        for a file that is not written.
    """
    file = save_skops(compression.student, folder / "student.skops")
    encoder, inner = compression.model.encoder_, deployable(compression.model)
    X = compression.encode(compression.rows.X)
    if encoder is not None:  # save_skops verifies models of numbers only
        _verify_pipeline(compression, file)
    writers: dict[str, Callable[[Any, Path], Any]] = {
        SOURCE: to_c,
        INTEGERS: partial(to_c_int16, X=X),
        ONNX: to_onnx,
    }
    notes, written = [], {}
    for name, write in writers.items():
        try:
            written[name] = write(inner, folder / name)
        except ConfigurationError as error:
            if isinstance(error.__cause__, OSError):  # such as a full disk
                raise
            reason = str(error).removeprefix(f"{folder / name}: ").removeprefix("not written, because ")
            notes.append(f"{name}: not written, because {reason}")
    if encoder is not None and SOURCE in written:
        to_c_encoder(encoder, folder / "student_encode.h", "student", 8 if is_boosting(inner) else 4)
    return notes + _rounding_notes(inner, X, folder), written.get(SOURCE), written.get(INTEGERS)


def _rounding_notes(student: Any, X: NDArray[np.float64], folder: Path) -> list[str]:
    """Describe how the files that receive float32 differ from a student of float64 rows."""
    notes = []
    written = [name for name in (ONNX, INTEGERS) if (folder / name).exists()]
    try:
        check_float32(X, getattr(student, "feature_names_in_", None))
    except ConfigurationError as error:
        notes += [f"{name}: predictions may be wrong, because it receives float32; {error}" for name in written]
    if ONNX in written and (count := count_label_differences(student, folder / ONNX, X)):
        notes.append(
            f"{ONNX}: the label of {count:,} of {len(X):,} training rows differs from the student's, because ONNX "
            "computes in float32"
        )
    return notes


def _verify_pipeline(compression: Compression, file: Path) -> None:
    X = compression.rows.X_test
    expected, actual = (output_function(model)(X) for model in (compression.student, load_skops(file)))
    if not np.array_equal(expected, actual):
        raise ConfigurationError(f"{file}: the predictions of the file differ from the student's")


def _replace(folder: Path, temporary: Path) -> None:
    """Rename the temporary folder; an earlier folder is renamed first, so that one of the two always exists."""
    earlier = temporary_path(folder, "old")
    try:
        if folder.exists() and folder.samefile("."):  # a shell would remain in the renamed folder
            _replace_files(folder, temporary)
            return
        if folder.exists():
            folder.rename(earlier)
        temporary.rename(folder)
    except OSError as error:
        if earlier.exists() and not folder.exists():
            earlier.rename(folder)
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror})") from error
    shutil.rmtree(earlier, ignore_errors=True)


def _replace_files(folder: Path, temporary: Path) -> None:
    """Move the files of the temporary folder into another one, and delete the other files there."""
    new = sorted(path.name for path in temporary.iterdir())
    for name in new:
        (temporary / name).replace(folder / name)
    for path in folder.iterdir():
        if path.name not in (*new, LOCK):
            path.unlink()
