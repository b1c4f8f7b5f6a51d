"""Types of values in experiment files."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo

from ganmc_lightning.io.structured import suggestion

FORBID_EXTRA = ConfigDict(extra="forbid")
T = TypeVar("T")


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _known_stage(name: str, info: ValidationInfo) -> str:
    stages = (info.context or {}).get("stages", [name])
    if name not in stages:
        raise ValueError(f"unknown stage '{name}', {suggestion(name, stages)}")
    return name


Text = Annotated[str, Field(min_length=1)]
"""Non-empty text."""
ListOf = Annotated[tuple[T, ...], BeforeValidator(_as_list)]
"""A list, or a single item."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
KnownStage = Annotated[str, AfterValidator(_known_stage)]
"""A stage name in ``ValidationInfo.context["stages"]``."""
