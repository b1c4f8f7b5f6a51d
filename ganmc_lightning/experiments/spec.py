"""What an experiment file says: stages, each a command line, and the report made of their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One run per seed: a training, or any other command that leaves a ``result.json`` behind.

    Attributes:
        name: also the name of its folder.
        configs: files handed to ``fit``, later ones on top; those of another command stand in it as ``{config}``.
        overrides: dotted keys and values on top of the files; a string may hold ``{stage}``.
        quick: further overrides for a quick run, over the experiment's own.
        needs: stages it depends on, declared or named by a ``{stage}``.
        test: whether the run has test scores; after ``fit``, ``test`` gets them.
        command: the words of another command than ``fit``; they may hold ``{stage}``, and ``{here}``, ``{seed}``
            and ``{config}`` for the run's own folder, seed and configuration file. Empty for a training.
        quick_command: words that a quick run adds to these.
        shared: whether it runs once, with the experiment's first seed, for the stages of all seeds.
    """

    name: str
    configs: tuple[Path, ...]
    overrides: Mapping[str, object]
    quick: Mapping[str, object]
    needs: tuple[str, ...]
    test: bool
    command: tuple[str, ...] = ()
    quick_command: tuple[str, ...] = ()
    shared: bool = False


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
class Column:
    """One metric of a table.

    Attributes:
        metric: read as ``test/<metric>``, behind the model of the line where that has one.
        label: heading.
        format: how its numbers are written: ``score``, ``count``, ``bytes`` or ``ratio``.
    """

    metric: str
    label: str
    format: str


@dataclass(frozen=True)
class Line:
    """One line of a table of several metrics.

    Attributes:
        name: what the reader sees.
        stage: the stage whose results it shows.
        model: where its metrics stand among those of the stage, ``<model>/<metric>``; empty for all of them.
        paper: metric -> the paper's number.
        curve: figures join the points of all lines of one curve; empty for a point of its own.
    """

    name: str
    stage: str
    model: str
    paper: Mapping[str, float]
    curve: str

    def metric(self, name: str) -> str:
        """The name under which the stage's results hold one of the line's metrics."""
        return f"{self.model}/{name}" if self.model else name


@dataclass(frozen=True)
class Scatter:
    """One figure of a table's lines as points, and as curves where they belong to some.

    A line of the table that has the height but no place, such as real data in a figure over parameters, is a dashed
    line across.

    Attributes:
        title: caption of the figure.
        x, y: metrics, with a column in the table.
        log_x: whether the horizontal axis is logarithmic.
    """

    title: str
    x: str
    y: str
    log_x: bool


@dataclass(frozen=True)
class Table:
    """A table of several metrics, beside the one that compares methods by the experiment's metric.

    Attributes:
        title: caption.
        source: where the paper's numbers stand; empty without any.
        note: what a fair reader must know of its numbers; empty for nothing.
        columns: its metrics.
        lines: its lines.
        scatters: figures of it.
    """

    title: str
    source: str
    note: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    scatters: tuple[Scatter, ...]


@dataclass(frozen=True)
class Series:
    """One figure of several curves that a stage recorded itself.

    Attributes:
        title: caption of the figure.
        x_label, y_label: of the axes.
        stage: whose ``result.json`` holds the curves.
        curves: what the reader sees -> name among the result's ``curves``.
        references: what the reader sees -> test metric, drawn as a dashed line.
    """

    title: str
    x_label: str
    y_label: str
    stage: str
    curves: Mapping[str, str]
    references: Mapping[str, str]


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
    """A figure over the epochs for each of some columns of ``metrics.csv``.

    Attributes:
        title: caption of all.
        stages: one line each; the name of a row of the table is the stage that it shows, which validation may choose.
        columns: such as ``train/loss``; when empty the metric on the validation samples and, where it was recorded,
            the cross-entropy with their labels, which can be compared between all methods.
    """

    title: str
    stages: tuple[str, ...]
    columns: tuple[str, ...]


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
        rows, tables, sweeps, curves, series, grids: the report.
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
    tables: tuple[Table, ...]
    sweeps: tuple[Sweep, ...]
    curves: tuple[Curves, ...]
    series: tuple[Series, ...]
    grids: tuple[str, ...]
