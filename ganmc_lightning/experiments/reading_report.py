"""Reading what an experiment file says of its report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypedDict

from ganmc_lightning.experiments.section import Section, suggestion
from ganmc_lightning.experiments.spec import Column, Curves, Line, Row, Scatter, Series, Stage, Sweep, Table

KINDS = ("number", "count", "bytes", "ratio")


class ReportSpec(TypedDict):
    """The parts of a report, by their names in :class:`~ganmc_lightning.experiments.spec.Experiment`."""

    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    sweeps: tuple[Sweep, ...]
    curves: tuple[Curves, ...]
    series: tuple[Series, ...]
    grids: tuple[str, ...]


def read_report(report: Section, stages: Mapping[str, Stage]) -> ReportSpec:
    """Read the section ``report``.

    Raises:
        ConfigurationError: one line naming the file, the key and the fix.
    """
    rows = tuple(_row(section, stages) for section in report.sections("rows"))
    _refuse_repeated(report, "rows", [row.name for row in rows])
    spec = ReportSpec(
        rows=rows,
        tables=tuple(_table(section, stages) for section in report.sections("tables")),
        sweeps=tuple(_sweep(section, stages) for section in report.sections("sweep")),
        curves=tuple(_curves(section, stages, rows) for section in report.sections("curves")),
        series=tuple(_series(section, stages) for section in report.sections("series")),
        grids=_known(report, "sample_grids", report.texts("sample_grids"), stages),
    )
    report.close()
    return spec


def _refuse_repeated(section: Section, key: str, names: list[str]) -> None:
    repeated = [name for index, name in enumerate(names) if name in names[:index]]
    if repeated:
        raise section.error(key, f"has two rows named {repeated[0]!r}; give each its own name")


def _known(section: Section, key: str, names: tuple[str, ...], stages: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if name not in stages:
            raise section.error(key, f"names an unknown stage '{name}'; {suggestion(name, stages)}")
    return names


def _row(section: Section, stages: Mapping[str, Stage]) -> Row:
    name = section.text("name")
    if section.has("stage") == section.has("best_of"):
        raise section.error("", "needs either 'stage' or 'best_of'")
    key = "stage" if section.has("stage") else "best_of"
    candidates = (section.text("stage"),) if key == "stage" else section.texts("best_of", required=True)
    _known(section, key, candidates, stages)
    if len({stages[candidate].test for candidate in candidates}) > 1:
        raise section.error(key, "mixes stages with and without a test; give all of them the same 'test'")
    row = Row(
        name, candidates, section.number("paper"), section.text("source", ""), section.text("step_budget_group", "rows")
    )
    section.close()
    return row


def _sweep(section: Section, stages: Mapping[str, Stage]) -> Sweep:
    raw = section.take("points")
    if not isinstance(raw, dict) or not raw:
        raise section.error("points", "must map numbers to stages, and hold at least one")
    for x, stage in raw.items():
        if isinstance(x, bool) or not isinstance(x, int | float) or not isinstance(stage, str):
            raise section.error("points", f"must map numbers to stages, found {x!r}: {stage!r}")
    _known(section, "points", tuple(raw.values()), stages)
    references_ = _known(section, "references", section.texts("references"), stages)
    points = {float(x): raw[x] for x in sorted(raw)}
    sweep = Sweep(section.text("title", "Sweep"), section.text("x_label"), points, references_)
    section.close()
    return sweep


def _curves(section: Section, stages: Mapping[str, Stage], rows: Sequence[Row]) -> Curves:
    known = (*stages, *(row.name for row in rows))
    names = _known(section, "stages", section.texts("stages", required=True), known)
    curves = Curves(section.text("title", "Learning curves"), names, section.texts("columns"))
    section.close()
    return curves


def _table(section: Section, stages: Mapping[str, Stage]) -> Table:
    title = section.text("title")
    columns = tuple(_column(column) for column in section.sections("columns"))
    metrics = [column.metric for column in columns]
    lines = tuple(_line(line, stages, metrics) for line in section.sections("rows"))
    _refuse_repeated(section, "rows", [line.name for line in lines])
    for key, given in (("columns", columns), ("rows", lines)):
        if not given:
            raise section.error(key, "is missing")
    scatters = tuple(_scatter(scatter, metrics) for scatter in section.sections("scatter"))
    table = Table(title, section.text("source", ""), section.text("note", ""), columns, lines, scatters)
    section.close()
    return table


def _column(section: Section) -> Column:
    metric = section.text("metric")
    column = Column(metric, section.text("label", metric.replace("_", " ")), section.text("format", "number"))
    if column.format not in KINDS:
        raise section.error("format", f"must be one of {', '.join(KINDS)}, found {column.format!r}")
    section.close()
    return column


def _line(section: Section, stages: Mapping[str, Stage], metrics: list[str]) -> Line:
    name, stage = section.text("name"), section.text("stage")
    _known(section, "stage", (stage,), stages)
    paper_section = section.section("paper")
    paper = {metric: number for metric in metrics if (number := paper_section.number(metric)) is not None}
    paper_section.close()
    line = Line(name, stage, section.text("model", ""), paper, section.text("curve", ""))
    section.close()
    return line


def _scatter(section: Section, metrics: list[str]) -> Scatter:
    scatter = Scatter(section.text("title"), section.text("x"), section.text("y"), section.flag("log_x", False))
    for key, metric in (("x", scatter.x), ("y", scatter.y)):
        if metric not in metrics:
            raise section.error(key, f"is no column of the table: '{metric}'; {suggestion(metric, metrics)}")
    section.close()
    return scatter


def _series(section: Section, stages: Mapping[str, Stage]) -> Series:
    stage = section.text("stage")
    _known(section, "stage", (stage,), stages)
    curves, references = (_names(section, key) for key in ("curves", "references"))
    if not curves:
        raise section.error("curves", "is missing")
    x_label, y_label = section.text("x_label"), section.text("y_label")
    series = Series(section.text("title"), x_label, y_label, stage, curves, references)
    section.close()
    return series


def _names(section: Section, key: str) -> dict[str, str]:
    names = section.mapping(key)
    for label, name in names.items():
        if not isinstance(name, str):
            raise section.error(key, f"must map labels to names, found {label!r}: {name!r}")
    return {label: str(name) for label, name in names.items()}
