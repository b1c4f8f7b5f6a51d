"""Atomic file writing."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.processes import process_is_running


def temporary_path(path: Path, suffix: str = "part") -> Path:
    """Return a hidden name next to ``path`` for a file or folder that is renamed to ``path`` when it is complete.

    Those of processes of this machine that were killed are deleted. The name contains the machine and the process.

    Args:
        path: the final path.
        suffix: end of the name (default: ``"part"``).

    Example:
        >>> temporary_path(Path("model.ckpt")).name.startswith(".model.ckpt.")
        True
    """
    start, end = f".{path.name}.{socket.gethostname()}.", f".{suffix}"
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        process = other.name.removeprefix(start).removesuffix(end)
        if not process.isdecimal() or other.name != f"{start}{process}{end}" or process_is_running(int(process)):
            continue
        if other.is_dir():
            shutil.rmtree(other, ignore_errors=True)
        else:
            other.unlink(missing_ok=True)
    return path.with_name(f"{start}{os.getpid()}{end}")


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
    temporary = temporary_path(path)
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
