"""Folder of the cached data sets."""

from __future__ import annotations

import os
from pathlib import Path


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder of the cached data sets, in which ``~`` is the home folder.

    Args:
        root: path of the folder (default: ``$GANMC_DATA`` or ``./data``).

    Example:
        >>> data_root("~/images") == Path.home() / "images"
        True
    """
    return Path(root or os.environ.get("GANMC_DATA") or "data").expanduser()
