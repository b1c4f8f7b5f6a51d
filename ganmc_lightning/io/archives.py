"""Validate zip archives (checkpoints, ``.npz``, ``.pt2``, skops): limited expansion, and checksums of all members."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from ganmc_lightning.exceptions import ConfigurationError

MAX_EXPANSION = 100
"""Maximum size of the contents of a compressed file, as a multiple of the size of the file."""
MIN_LIMIT = 2**28
"""Size of the contents (256 MiB) that is allowed for any file."""
_CHUNK = 2**20


def is_archive(file: Path | str | BinaryIO) -> bool:
    """Return whether a file is a zip archive; False for one with a damaged directory."""
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:
        return False


def size_limit(path: Path | str) -> int:
    """Return the maximum number of bytes that the contents of a file may have in memory."""
    return max(MIN_LIMIT, MAX_EXPANSION * Path(path).stat().st_size)


def check_expansion(archive: zipfile.ZipFile, path: Path | str) -> None:
    """Validate the sizes of the members in the directory of an archive, before one is read.

    No more bytes than the stated size are read from a member.

    Args:
        archive: the opened archive.
        path: the file.

    Raises:
        ConfigurationError: the members have more than :data:`MAX_EXPANSION` times the size of the file and more than
            :data:`MIN_LIMIT` bytes.
    """
    total = sum(member.file_size for member in archive.infolist())
    if total > size_limit(path):
        raise ConfigurationError(
            f"{path}: got an archive that expands from {Path(path).stat().st_size:,} to {total:,} bytes, expected at "
            f"most {MAX_EXPANSION} times its size; save it uncompressed"
        )


def check_archive(path: Path | str) -> None:
    """Validate the expansion and the checksums of a zip archive, which PyTorch does not compare.

    Args:
        path: the file; one that is not a zip archive is ignored.

    Raises:
        ConfigurationError: the archive is damaged, expands too far, or has two members of one name.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.zip"
        >>> with zipfile.ZipFile(path, "w") as archive:
        ...     archive.writestr("member", "text")
        >>> check_archive(path)
        >>> _ = path.write_bytes(path.read_bytes().replace(b"text", b"tent"))
        >>> check_archive(path)
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: ...demo.zip: damaged (Bad CRC-32 for file 'member')
    """
    if not is_archive(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            check_expansion(archive, path)
            names = [member.filename.casefold() for member in archive.infolist()]  # PyTorch ignores case
            if len(set(names)) < len(names):
                raise ConfigurationError(f"{path}: got two members of one name, expected distinct names")
            for member in archive.infolist():
                with archive.open(member) as content:
                    while content.read(_CHUNK):
                        pass
    except ConfigurationError:
        raise
    except Exception as error:  # zipfile and the decompressors raise many types on damaged bytes
        raise ConfigurationError(f"{path}: damaged ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """Return the first line of the message of an exception, or its type."""
    return str(error).partition("\n")[0] or type(error).__name__
