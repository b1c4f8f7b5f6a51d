"""Detection of changes to files that are mapped into memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ganmc_lightning.exceptions import ConfigurationError


class _Status(NamedTuple):
    inode: int
    size: int
    modified: int


class MappedFiles:
    """Files that are mapped into memory, and must not be written in place.

    Reading a page beyond the end of a truncated file ends the process with SIGBUS, without a message. A file that is
    deleted or replaced by renaming another one is harmless: the mapping keeps the old content.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pool.npy"
        >>> _ = path.write_bytes(b"1234")
        >>> files = MappedFiles()
        >>> files.add([path])
        >>> files.check()
        >>> _ = path.write_bytes(b"1")
        >>> try:
        ...     files.check()
        ... except ConfigurationError as error:
        ...     print(str(error).replace(str(path), "pool.npy").partition(";")[0])
        pool.npy: resized from 4 to 1 bytes during the run
    """

    def __init__(self) -> None:
        self._known: dict[Path, _Status] = {}

    def add(self, paths: Iterable[Path]) -> None:
        """Record files in their present state."""
        self._known.update({path: _read_status(path) for path in paths})

    def check(self) -> None:
        """Check that no file has been written since it was added; about 1 us per file.

        Raises:
            ConfigurationError: a file has been truncated, extended or overwritten.
        """
        for path, known in self._known.items():
            try:
                status = _read_status(path)
            except OSError:  # deleted
                continue
            if status.inode != known.inode or status == known:
                continue
            change = "overwritten" if status.size == known.size else f"resized from {known.size} to {status.size} bytes"
            raise ConfigurationError(f"{path}: {change} during the run; delete {path.parent} and run the command again")


def _read_status(path: Path) -> _Status:
    status = path.stat()
    return _Status(status.st_ino, status.st_size, status.st_mtime_ns)
