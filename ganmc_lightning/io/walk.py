"""Walk through a folder and the folders that it links to, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield all files below ``folder``, also those in linked folders, each of which is entered once."""
    entered = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:  # a link to a folder that was entered, such as its own parent
            folders.clear()
            continue
        entered.add(real)
        yield from (path for name in files if (path := Path(parent, name)).is_file())
