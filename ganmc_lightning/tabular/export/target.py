"""Files that exports are written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file cannot be written where the system refuses it.

    Raises:
        ConfigurationError: the block raised ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror or error}): name another file") from error
