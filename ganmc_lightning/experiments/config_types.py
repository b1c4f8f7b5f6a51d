"""Types of values in experiment files."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo

from ganmc_lightning.io.structured import suggestion

FORBID_EXTRA = ConfigDict(extra="forbid")
T = TypeVar("T")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _known_stage(name: str, info: ValidationInfo) -> str:
    stages = (info.context or {}).get("stages", [name])
    if name not in stages:
        raise ValueError(f"unknown stage '{name}', {suggestion(name, stages)}")
    return name


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``25 min``; ``about`` marks an estimate.

    Raises:
        ValueError: another form.

    Example:
        >>> parse_duration("25 min"), parse_duration("about 2 d")
        (1500.0, 172800.0)
    """
    match = re.fullmatch(r"(?:about )?(\d+(?:\.\d+)?) (s|min|h|d)", text)
    if match is None:
        raise ValueError(f"got {text!r}, expected a number and s, min, h or d, such as '25 min' or 'about 2 d'")
    return float(match[1]) * _SECONDS[match[2]]


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _relative_pattern(text: str) -> str:
    path = PurePath(text)
    if path.anchor or not path.parts:
        raise ValueError(f"got {text!r}, expected a path relative to the data root, such as 'mnist*.npz'")
    if any("**" in part and part != "**" for part in path.parts):
        raise ValueError(f"got {text!r}, expected '**' as the whole name of a folder")
    return text


Text = Annotated[str, Field(min_length=1)]
"""Non-empty text."""
Duration = Annotated[str, AfterValidator(_duration)]
"""A text for :func:`parse_duration`."""
Device = Literal["CPU", "GPU"]
ListOf = Annotated[tuple[T, ...], BeforeValidator(_as_list)]
"""A list, or a single item."""
DataPatterns = ListOf[Annotated[Text, AfterValidator(_relative_pattern)]]
"""Patterns for :meth:`pathlib.Path.glob` in the data root."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
KnownStage = Annotated[str, AfterValidator(_known_stage)]
"""A stage name in ``ValidationInfo.context["stages"]``."""
