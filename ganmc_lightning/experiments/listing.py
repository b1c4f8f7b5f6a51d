"""List of the experiments, by duration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config_types import parse_duration
from ganmc_lightning.experiments.discovery import experiment_files, short_name
from ganmc_lightning.io.structured import load_yaml_mapping

INCLUDED, PRESENT, ABSENT = "included", "present", "absent"
HEADINGS = ("experiment", "time", "device", "data", "title")


class ListedExperiment(NamedTuple):
    """A line of the list.

    Attributes:
        name: name for ``ganmc reproduce``.
        duration: time of all stages, ``about ...`` for an estimate; ``-`` if the file has none.
        device: device of that time; ``-`` if the file has none.
        data: ``included`` with scikit-learn, or ``present`` in or ``absent`` from the data root.
        title: title of the report.
    """

    name: str
    duration: str
    device: str
    data: str
    title: str


def list_experiments() -> list[ListedExperiment]:
    """List all experiments, the shortest first; those without a duration are the last.

    Raises:
        ConfigurationError: a file is not a YAML mapping, or its duration is invalid.
    """
    listed = []
    for file in experiment_files():
        content = load_yaml_mapping(file)
        duration = content.get("duration")
        try:
            seconds = float("inf") if duration is None else parse_duration(str(duration))
        except ValueError as error:
            raise ConfigurationError(f"{file}: duration: {error}") from None
        name, title = short_name(file), str(content.get("title", ""))
        line = ListedExperiment(name, duration or "-", content.get("device", "-"), _data_state(content), title)
        listed.append((seconds, line))
    return [line for _, line in sorted(listed)]


def format_list(listed: list[ListedExperiment]) -> Iterator[str]:
    """Yield the lines of the list, as columns."""
    rows = [HEADINGS, *listed]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def _data_state(content: Mapping[str, Any]) -> str:
    data = content.get("data") or []
    if not data:
        return INCLUDED
    patterns = [data] if isinstance(data, str) else data
    root = Path(os.environ.get("GANMC_DATA") or "data")
    return PRESENT if all(any(root.glob(pattern)) for pattern in patterns) else ABSENT
