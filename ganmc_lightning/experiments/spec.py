"""What an experiment file says: stages, each one command line, and the report made of their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One training run per seed.

    Attributes:
        name: also the name of its folder.
        configs: files handed to ``fit``, later ones on top.
        overrides: dotted keys and values on top of the files; a string may hold ``{stage}``.
        quick: further overrides for a quick run, over the experiment's own.
        needs: stages it depends on, declared or named by a ``{stage}``.
        test: whether ``test`` follows ``fit``.
    """

    name: str
    configs: tuple[Path, ...]
    overrides: Mapping[str, object]
    quick: Mapping[str, object]
    needs: tuple[str, ...]
    test: bool


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what the reader sees.
        stages: one stage, or the candidates among which validation chooses.
        paper: the paper's number, if it has one.
        source: where that number stands.
        group: rows of one group are compared and must have taken equally many steps.
    """

    name: str
    stages: tuple[str, ...]
    paper: float | None
    source: str
    group: str


@dataclass(frozen=True)
class Sweep:
    """One figure of the metric over a setting.

    Attributes:
        title: caption of the figure.
        x_label: the setting.
        points: value of the setting -> stage.
        references: stages drawn as dashed lines.
    """

    title: str
    x_label: str
    points: Mapping[float, str]
    references: tuple[str, ...]


@dataclass(frozen=True)
class Curves:
    """One figure of the metric per epoch, and one of a loss.

    Attributes:
        title: caption of both.
        stages: one line each.
        loss: read as ``val/<loss>``; cross-entropy with the labels can be compared between all methods.
    """

    title: str
    stages: tuple[str, ...]
    loss: str


@dataclass(frozen=True)
class Experiment:
    """All that an experiment file says.

    Attributes:
        file: where it was read.
        name: also the name of its folder under the output folder.
        title: heading of the report.
        seeds: one run of every stage each.
        metric: read as ``val/<metric>`` and ``test/<metric>``.
        mode: ``max`` or ``min``, which is better.
        stages: by name, in the order of running.
        quick: overrides of every stage in a quick run.
        rows, sweeps, curves, grids: the report.
    """

    file: Path
    name: str
    title: str
    seeds: tuple[int, ...]
    metric: str
    mode: str
    stages: Mapping[str, Stage]
    quick: Mapping[str, object]
    rows: tuple[Row, ...]
    sweeps: tuple[Sweep, ...]
    curves: tuple[Curves, ...]
    grids: tuple[str, ...]
