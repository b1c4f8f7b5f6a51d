"""Atomic file writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from ganmc_lightning.exceptions import ConfigurationError


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write to a temporary file and rename it to ``path`` on success.

    After a kill, a full disk or an exception, ``path`` is unchanged.

    Args:
        path: the file to write; its folder is created if necessary.
        mode: ``"w"`` for text (UTF-8), ``"wb"`` for bytes.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.txt"
        >>> with atomic_write(path) as file:
        ...     _ = file.write("text")
        >>> path.read_text()
        'text'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_writable(folder: Path, option: str) -> None:
    """Create a folder and check that files can be written to it.

    Args:
        folder: path of the folder.
        option: command-line option of the folder, for the error message.

    Raises:
        ConfigurationError: the folder cannot be created or is read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # an existing folder may be read-only
            pass
    except OSError as error:
        raise ConfigurationError(
            f"{option}: cannot write to {folder} ({error.strerror}); choose another folder"
        ) from error
