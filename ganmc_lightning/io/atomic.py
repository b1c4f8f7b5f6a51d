"""Atomic file writing."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


_BLOCK = 4096  # bytes


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write to a temporary file and rename it to ``path`` on success.

    After a kill, a full disk or an exception, ``path`` is unchanged.

    Args:
        path: the file to write; its folder is created if necessary.
        mode: ``"w"`` for text (UTF-8), ``"wb"`` for bytes.

    Raises:
        ConfigurationError: the disk is full, or the folder is read-only or cannot be created.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.txt"
        >>> with atomic_write(path) as file:
        ...     _ = file.write("text")
        >>> path.read_text()
        'text'
    """
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            encoding, newline = (None, None) if "b" in mode else ("utf-8", "")  # "": equal line ends on all systems
            with temporary.open(mode, encoding=encoding, newline=newline) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(NotADirectoryError):  # a parent is a file
                temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None or error.filename not in (None, *map(str, (temporary, path.parent, *path.parents))):
            raise  # of the block, such as another file that cannot be read
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> ConfigurationError:
    """Return the error of a file that cannot be written: path, reason and fix in one line."""
    fix = "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "choose another folder"
    reason = f"{error.filename} is a file" if isinstance(error, FileExistsError) else error.strerror  # of mkdir
    return ConfigurationError(f"{path}: cannot be written ({reason}); {fix}")


def check_writable(folder: Path, option: str) -> None:
    """Check that a folder can be created and written, without creating it.

    Commands call this function before their work, because a full disk or a read-only folder would be found only at its
    end. Permissions are not sufficient: a file system may be mounted read-only.

    Args:
        folder: path of the folder.
        option: command-line option of the folder, for the error message.

    Raises:
        ConfigurationError: the folder, or its nearest existing parent, is a file, is read-only or has no space left.
    """
    path = folder.absolute()
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with TemporaryFile(dir=nearest) as file:
            file.write(bytes(_BLOCK))
            file.flush()
    except OSError as error:
        where = "" if nearest == path else f"{nearest}: "
        raise ConfigurationError(
            f"{option}: cannot write to {folder} ({where}{error.strerror}); choose another folder"
        ) from error
