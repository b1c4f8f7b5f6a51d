"""``result.json``: what came out of a run, for reports to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganmc_lightning.io.atomic import atomic_write

RESULT = "result.json"


def update_result(folder: Path, entries: dict[str, Any]) -> None:
    """Add entries to a run folder's ``result.json``, atomic_write those of the same name."""
    path = folder / RESULT
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with atomic_write(path) as file:
        json.dump({**result, **entries}, file, indent=2)
        file.write("\n")
