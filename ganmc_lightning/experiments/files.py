"""The files of a report and of its runs: written whole or not at all, read with suspicion."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ganmc_lightning.io.atomic import atomic_write


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new, never half of it."""
    with atomic_write(path, "wb") as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write strict JSON atomically; a number that is not finite becomes null."""
    write_text(path, json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json_object(path: Path) -> dict[str, object] | None:
    """Read a JSON object; None when the file is missing or holds anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _finite(value: object) -> object:
    """Replace NaN and infinities, which JSON cannot hold, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
