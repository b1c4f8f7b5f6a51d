"""``{stage}`` inside an override: another stage's run folder for the same seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_-]*)\}")


def references(value: object) -> Iterator[str]:
    """Yield the stages named as ``{stage}`` anywhere inside an override's value."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def fill(value: object, folders: Mapping[str, Path]) -> object:
    """Replace every ``{stage}`` inside an override's value by that stage's folder.

    Example:
        >>> fill(["{teacher}/best.ckpt", 3], {"teacher": Path("runs/teacher")})
        ['runs/teacher/best.ckpt', 3]
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: str(folders[match[1]]), value)
    if isinstance(value, Mapping):
        return {key: fill(item, folders) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, folders) for item in value]
    return value
