"""Version of the format of checkpoints, of the files of a run folder, and of caches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError

FORMAT_VERSION = 1
"""Version that is written. Increase it when an older release of this package would misread a file."""
FORMAT_KEY = "format_version"
"""Key or array name of the version; a file without it was written before versions existed, and is version 0."""


def check_format_version(content: Mapping[str, Any], path: object) -> None:
    """Validate that this release reads the version of a file.

    Args:
        content: contents of the file.
        path: the file, for the error message.

    Raises:
        ConfigurationError: the file was written by a newer release, or its version is not a whole number.

    Example:
        >>> check_format_version({FORMAT_KEY: 1}, "result.json")
        >>> check_format_version({FORMAT_KEY: 1_000}, "result.json")
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: result.json: format_version: got 1000, expected at most 1; \
upgrade ganmc-lightning to read this file
    """
    version = content.get(FORMAT_KEY, 0)
    if type(version) is not int or version < 0:
        raise ConfigurationError(
            f"{path}: {FORMAT_KEY}: got {str(version)[:60]!r}, expected a whole number; the file is damaged"
        )
    if version > FORMAT_VERSION:
        raise ConfigurationError(
            f"{path}: {FORMAT_KEY}: got {version}, expected at most {FORMAT_VERSION}; upgrade ganmc-lightning to read "
            "this file"
        )
