"""Records as plain values for a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def to_plain(value: Any) -> Any:
    """Convert dataclasses and named tuples to dictionaries, and other tuples to lists, at any depth.

    Example:
        >>> from ganmc_lightning.cards.bootstrap import Interval
        >>> to_plain({"accuracy": Interval(0.9, 0.8, 1.0), "notes": ("a",)})
        {'accuracy': {'value': 0.9, 'low': 0.8, 'high': 1.0}, 'notes': ['a']}
    """
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        items = [to_plain(item) for item in value]
        return items if names is None else dict(zip(names, items, strict=True))
    return value
