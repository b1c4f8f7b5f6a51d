"""Output files of exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an ``OSError`` in the block to a ConfigurationError that names the file.

    Raises:
        ConfigurationError: the block raised ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error})") from error
