"""Types of values in experiment files."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

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


Text = Annotated[str, Field(min_length=1)]
"""Non-empty text."""
Duration = Annotated[str, AfterValidator(_duration)]
"""A text for :func:`parse_duration`."""
ListOf = Annotated[tuple[T, ...], BeforeValidator(_as_list)]
"""A list, or a single item."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
KnownStage = Annotated[str, AfterValidator(_known_stage)]
"""A stage name in ``ValidationInfo.context["stages"]``."""
