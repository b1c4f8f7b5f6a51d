"""The pictures of a report: its figures, drawn from the results, and the sample grids that runs left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment, Scatter, Sweep
from ganmc_lightning.experiments.metric_table import MetricTable
from ganmc_lightning.experiments.plots import (
    Curve,
    Points,
    Reference,
    curves_figure,
    scatter_figure,
    series_figure,
    sweep_figure,
)
from ganmc_lightning.experiments.report import ReportFigure
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import Estimate, estimate
from ganmc_lightning.experiments.table import ReportRow, metric_name, split_of, values_of
from ganmc_lightning.runs.metrics_csv import read_learning_curves

PARTS = {"train": "training", "val": "validation"}
"""What a column of ``metrics.csv`` begins with, and what an axis says."""

SweepPoints = tuple[Sweep, Mapping[float, Estimate]]


def make_figures(
    experiment: Experiment,
    results: Results,
    rows: Sequence[ReportRow],
    tables: Sequence[MetricTable],
    sweeps: Sequence[SweepPoints],
) -> list[ReportFigure]:
    """Draw every figure of the report.

    Args:
        experiment: what was asked for.
        results: stage -> finished runs.
        rows: of the main table.
        tables: of several metrics.
        sweeps: with their numbers.

    Raises:
        ConfigurationError: a result lacks a curve, a metric or a column that a figure shows.
    """
    # A stage that stands in the table goes by the name it has there.
    labels = {row.stage: row.row.name for row in reversed(rows)}
    pictures = [
        *_curves(experiment, results, rows, labels),
        *_sweeps(experiment, results, sweeps, labels),
        *_series(experiment, results),
        *_scatters(tables),
        *_grids(experiment, results),
    ]
    return _without_repeats(pictures)


def _without_repeats(pictures: Sequence[ReportFigure]) -> list[ReportFigure]:
    """Show a picture that came out twice, such as two scatters of the same numbers, once under both titles."""
    once: dict[bytes, ReportFigure] = {}
    for picture in pictures:
        first = once.get(picture.png)
        title = f"{first.title}; the same values: {picture.title}" if first else picture.title
        once[picture.png] = replace(first or picture, title=title)
    return list(once.values())


def _curves(
    experiment: Experiment, results: Results, rows: Sequence[ReportRow], labels: Mapping[str, str]
) -> Iterator[ReportFigure]:
    chosen = {row.row.name: row.stage for row in rows}
    for number, curves in enumerate(experiment.report.curves, 1):
        stages = [name if name in experiment.stages else chosen[name] for name in curves.stages]
        for column in curves.columns or (f"val/{experiment.metric}", "val/cross_entropy"):
            lines = _curve_lines(stages, results, column, labels)
            if lines:
                part, _, metric = column.partition("/")
                name = metric.replace("_", " ")
                png = curves_figure(lines, f"{PARTS.get(part, part)} {name}")
                yield ReportFigure(f"figures/curves_{number}_{part}_{metric}.png", f"{curves.title}: {name}", png)
            elif curves.columns:
                raise ConfigurationError(f"report.curves.columns: none of {', '.join(stages)} recorded '{column}'")


def _curve_lines(stages: Sequence[str], results: Results, column: str, labels: Mapping[str, str]) -> list[Curve]:
    lines = []
    for stage in stages:
        seeds = [read_learning_curves(run.folder.metrics).get(column, {}) for run in results[stage]]
        if any(seeds):
            lines.append(Curve(labels.get(stage, stage), seeds))
    return lines


def _sweeps(
    experiment: Experiment, results: Results, sweeps: Sequence[SweepPoints], labels: Mapping[str, str]
) -> Iterator[ReportFigure]:
    for number, (sweep, points) in enumerate(sweeps, 1):
        dashed = [
            Reference(labels.get(stage, stage), estimate(values_of(experiment, results, stage)).mean)
            for stage in sweep.references
        ]
        split = split_of(experiment, next(iter(sweep.points.values())))
        y_label = f"{split} {experiment.metric.replace('_', ' ')}"
        png = sweep_figure(list(points.items()), dashed, sweep.x_label, y_label)
        yield ReportFigure(f"figures/sweep_{number}.png", sweep.title, png)


def _series(experiment: Experiment, results: Results) -> Iterator[ReportFigure]:
    for number, series in enumerate(experiment.report.series, 1):
        runs = results[series.stage]
        curves = [Curve(label, [run.curve(name) for run in runs]) for label, name in series.curves.items()]
        dashed = [
            Reference(label, estimate([run.value(metric_name(experiment, series.stage, metric)) for run in runs]).mean)
            for label, metric in series.references.items()
        ]
        png = series_figure(curves, dashed, series.x_label, series.y_label)
        yield ReportFigure(f"figures/series_{number}.png", series.title, png)


def _scatters(tables: Sequence[MetricTable]) -> Iterator[ReportFigure]:
    number = 0
    for table in tables:
        names = {column.metric: column.heading for column in table.table.columns}
        for scatter in table.table.scatter:
            number += 1
            png = scatter_figure(*_marks(table, scatter), names[scatter.x], names[scatter.y], scatter.log_x)
            yield ReportFigure(f"figures/scatter_{number}.png", scatter.title, png)


def _marks(table: MetricTable, scatter: Scatter) -> tuple[list[Points], list[Reference]]:
    """Points of the table's lines, those of one curve together, and dashed lines of those without a place."""
    x, y = dict(table.means(scatter.x)), dict(table.means(scatter.y))
    groups: dict[str, list[tuple[Estimate, Estimate]]] = {}
    for line in table.table.rows:
        if line.name in x and line.name in y:
            groups.setdefault(line.curve or line.name, []).append((x[line.name], y[line.name]))
    dashed = [Reference(name, height.mean) for name, height in y.items() if name not in x]
    return [Points(label, places) for label, places in groups.items()], dashed


def _grids(experiment: Experiment, results: Results) -> Iterator[ReportFigure]:
    for stage in experiment.report.sample_grids:
        run = results[stage][0]
        grid = run.folder.latest_sample_grid()
        if grid is not None:
            title = f"{stage}, seed {run.seed}: {grid.stem.replace('_', ' ')}"
            yield ReportFigure(f"figures/samples_{stage}.png", title, grid.read_bytes())
