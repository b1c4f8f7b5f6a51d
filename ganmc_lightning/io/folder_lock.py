"""Lock of an output folder, so that only one process writes into it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.io.processes import process_is_running

LOCK = ".lock"
"""Name of the lock file; its text is the number of the process and the name of its machine."""
ENDING_SECONDS = 30.0
"""Time to wait for a lock whose process was killed: its child processes end by themselves."""


_THREAD = threading.local()


@contextmanager
def lock_folder(folder: Path, option: str, timeout: float = 0.0) -> Iterator[None]:
    """Create a folder and lock it; another process that locks it is refused.

    The operating system releases the lock of a process that is killed. The lock file is deleted at the end, and also
    the folder if it was created here and is empty. In a thread that has locked the folder, a second call does nothing.

    Args:
        folder: path of the folder.
        option: command-line option or configuration key of the folder, for error messages.
        timeout: seconds to wait for another process (default: 0).

    Raises:
        ConfigurationError: another process uses the folder, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with lock_folder(folder, "--out"):
        ...     (folder / ".lock").is_file()
        True
        >>> (folder / ".lock").exists()
        False
    """
    key = folder.resolve(), os.getpid()  # a forked process does not hold the locks of its parent
    if key in _locked_here():
        yield
        return
    check_writable(folder, option)
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    path = folder / LOCK
    lock = FileLock(path)
    try:
        process, machine = _read_holder(path)
        killed = process is not None and machine == socket.gethostname() and not process_is_running(process)
        _acquire(lock, folder, max(timeout, ENDING_SECONDS) if killed else timeout)
        path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
    except Timeout:
        process, machine = _read_holder(path)
        number = "another process" if process is None else f"process {process}"
        place = "" if machine in ("", socket.gethostname()) else f" on {machine}"
        raise ConfigurationError(
            f"{option}: {folder} is in use by {number}{place}; wait until it has ended, or choose another folder"
        ) from None
    except OSError as error:
        _remove(path, lock, created)
        raise ConfigurationError(
            f"{option}: cannot write to {folder} ({error.strerror}); choose another folder"
        ) from error
    _locked_here().add(key)
    try:
        yield
    finally:
        _locked_here().discard(key)
        _remove(path, lock, created)


def wait_for_folder(folder: Path, seconds: float) -> None:
    """Wait until no other process uses a folder.

    Args:
        folder: path of the folder, which does not have to exist.
        seconds: longest time to wait.

    Raises:
        ConfigurationError: another process still uses the folder.
    """
    if (folder / LOCK).exists():
        with lock_folder(folder, "run folder", seconds):
            pass


def _locked_here() -> set[tuple[Path, int]]:
    """Return the folders that this thread has locked, with the number of its process."""
    if not hasattr(_THREAD, "folders"):
        _THREAD.folders = set()
    folders: set[tuple[Path, int]] = _THREAD.folders
    return folders


def _read_holder(path: Path) -> tuple[int | None, str]:
    """Return the process and the machine of a lock file; None and an empty string if they are unknown."""
    try:
        process, machine = path.read_text(encoding="utf-8").split()[:2]
        return int(process), machine
    except (OSError, ValueError):  # no file, or its process has not written it yet
        return None, ""


def _acquire(lock: FileLock, folder: Path, timeout: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=timeout)
    except FileNotFoundError:  # the process that used the folder has deleted it, because it was empty
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout)


def _remove(path: Path, lock: FileLock, created: list[Path]) -> None:
    """Delete the lock file while it is locked, release the lock, and delete the created folders that are empty."""
    if lock.is_locked:
        if _read_holder(path) == (os.getpid(), socket.gethostname()):  # not if the folder was replaced
            with suppress(OSError):  # of Windows, where the release deletes the file
                path.unlink()
        lock.release()
    with suppress(OSError):  # a folder is not empty
        for folder in created:
            folder.rmdir()
