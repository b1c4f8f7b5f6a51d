"""``result.json``: what came out of a run, for reports to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganmc_lightning.files.atomic import replacing

RESULT = "result.json"


def update_result(folder: Path, entries: dict[str, Any]) -> None:
    """Add entries to a run folder's ``result.json``, replacing those of the same name."""
    path = folder / RESULT
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with replacing(path) as file:
        json.dump({**result, **entries}, file, indent=2)
        file.write("\n")
