"""List of the experiments, by duration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config_types import DataPatterns, Device, Duration, parse_duration
from ganmc_lightning.experiments.discovery import experiment_files, short_name
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.io.structured import load_yaml_mapping, validate

INCLUDED, PRESENT, ABSENT = "included", "present", "absent"
HEADINGS = ("experiment", "time", "device", "data", "title")


class ListedExperiment(NamedTuple):
    """A line of the list.

    Attributes:
        name: name for ``ganmc reproduce``.
        duration: time of all stages, ``about ...`` for an estimate; ``-`` if the file has none.
        device: device of that time; ``-`` if the file has none.
        data: ``included`` with scikit-learn, or ``present`` in or ``absent`` from the data root; ``-`` if unknown.
        title: title of the report; the error of an invalid file.
    """

    name: str
    duration: str
    device: str
    data: str
    title: str


@dataclass(config=ConfigDict(extra="ignore"))
class _Summary:
    """The keys of an experiment file that the list shows; the others are not validated."""

    title: str = ""
    duration: Duration | None = None
    device: Device | None = None
    data: DataPatterns = ()


def list_experiments() -> list[ListedExperiment]:
    """List all experiments, the shortest first; those without a duration are the last.

    A file that is not a YAML mapping, or with an invalid value of a listed key, has the error as its title.
    """
    listed = []
    for file in experiment_files():
        try:
            summary = validate(_Summary, load_yaml_mapping(file), file)
        except ConfigurationError as error:
            listed.append((float("inf"), ListedExperiment(short_name(file), "-", "-", "-", f"error: {error}")))
            continue
        seconds = float("inf") if summary.duration is None else parse_duration(summary.duration)
        shown = (summary.duration or "-", summary.device or "-", _data_state(summary.data), summary.title)
        listed.append((seconds, ListedExperiment(short_name(file), *shown)))
    return [line for _, line in sorted(listed)]


def format_list(listed: list[ListedExperiment]) -> Iterator[str]:
    """Yield the lines of the list, as columns."""
    rows = [HEADINGS, *listed]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def _data_state(patterns: Sequence[str]) -> str:
    if not patterns:
        return INCLUDED
    root = data_root()
    return PRESENT if all(any(root.glob(pattern)) for pattern in patterns) else ABSENT
