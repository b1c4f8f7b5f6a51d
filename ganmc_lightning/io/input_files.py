"""Open files of the user: only regular files, because reading a named pipe or a device may never end."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError


def check_regular_file(path: Path | str, missing: str = "file not found") -> Path:
    """Return the path after checking that it is a regular file, or a link to one.

    Args:
        path: the file.
        missing: message for a path that does not exist or is a folder.

    Raises:
        ConfigurationError: there is no such file, or it is a named pipe, a socket or a device.

    Example:
        >>> check_regular_file("/dev/null")
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: /dev/null: got a pipe, socket or device, expected a regular file
    """
    path = Path(path)
    try:
        if path.is_file():
            return path
        if path.exists() and not path.is_dir():
            raise ConfigurationError(f"{path}: got a pipe, socket or device, expected a regular file")
    except OSError as error:  # no permission for its folder, or a name that is too long
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    raise ConfigurationError(f"{path}: {missing}")


def read_text(path: Path | str) -> str:
    """Read a regular file of UTF-8 text.

    Raises:
        ConfigurationError: the file is missing, is not readable, is not a regular file or is not UTF-8.
    """
    path = check_regular_file(path)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: byte {error.start} is not UTF-8, expected UTF-8 text") from error
