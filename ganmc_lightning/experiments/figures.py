"""Figures of a report: plots of the results, and sample grids written by the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.plots import (
    Baseline,
    ScatterGroup,
    SeedCurves,
    plot_learning_curves,
    plot_result_curves,
    plot_scatter,
    plot_sweep,
)
from ganmc_lightning.experiments.rank_plot import plot_ranks
from ganmc_lightning.experiments.rank_tests import RankTestResult
from ganmc_lightning.experiments.report import ReportFigure
from ganmc_lightning.experiments.report_config import Scatter, Sweep
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import MeanCI
from ganmc_lightning.experiments.tables import ReportRow, TableResult, metric_name, report_split, report_values
from ganmc_lightning.runs.metrics_csv import read_learning_curves

SPLIT_NAMES = {"train": "training", "val": "validation"}
"""Prefix of a column in ``metrics.csv`` -> word in the axis label."""

SweepMeans = tuple[Sweep, Mapping[float, MeanCI]]


@dataclass(frozen=True)
class FigureSpec:
    """A figure with its values, before it is plotted.

    Attributes:
        file: path relative to the report.
        title: caption.
        draw: function that returns the figure as PNG.
    """

    file: str
    title: str
    draw: Callable[[], bytes]


def make_figures(
    experiment: Experiment,
    results: Results,
    rows: Sequence[ReportRow],
    tables: Sequence[TableResult],
    sweeps: Sequence[SweepMeans],
    rank_tests: Sequence[RankTestResult] = (),
) -> list[ReportFigure]:
    """Plot all figures of a report.

    Args:
        experiment: the experiment file.
        results: stage -> results of its runs.
        rows: rows of the main table.
        tables: tables of several metrics.
        sweeps: sweeps with their means.
        rank_tests: rank tests over data sets (default: none).

    Raises:
        ConfigurationError: a result lacks a curve, a metric or a column of a figure.
    """
    labels = {row.stage: row.spec.name for row in reversed(rows)}  # names of the main table's rows
    specs = [
        *_rank_diagrams(rank_tests),
        *_learning_curves(experiment, results, rows, labels),
        *_sweeps(experiment, results, sweeps, labels),
        *_result_curves(experiment, results),
        *_scatters(tables),
        *_sample_grids(experiment, results),
    ]
    return _merge_equal([ReportFigure(spec.file, spec.title, spec.draw()) for spec in specs])


def _merge_equal(figures: Sequence[ReportFigure]) -> list[ReportFigure]:
    """Merge equal figures, such as two scatter plots of equal values, into one with both titles."""
    unique: dict[bytes, ReportFigure] = {}
    for figure in figures:
        first = unique.get(figure.png)
        title = f"{first.title}; equal values: {figure.title}" if first else figure.title
        unique[figure.png] = replace(first or figure, title=title)
    return list(unique.values())


def _rank_diagrams(tests: Sequence[RankTestResult]) -> Iterator[FigureSpec]:
    for number, test in enumerate(tests, 1):
        if not test.complete:
            continue
        draw = partial(plot_ranks, test.ranks, test.groups(), test.critical_difference)
        yield FigureSpec(f"figures/ranks_{number}.png", f"Mean ranks: {test.spec.title}", draw)


def _learning_curves(
    experiment: Experiment, results: Results, rows: Sequence[ReportRow], labels: Mapping[str, str]
) -> Iterator[FigureSpec]:
    shown_stage = {row.spec.name: row.stage for row in rows}
    for number, spec in enumerate(experiment.report.learning_curves, 1):
        stages = [name if name in experiment.stages else shown_stage[name] for name in spec.stages]
        for column in spec.columns or (f"val/{experiment.metric}", "val/cross_entropy"):
            curves = _read_column(stages, results, column, labels)
            if curves:
                split, _, metric = column.partition("/")
                name = metric.replace("_", " ")
                draw = partial(plot_learning_curves, curves, f"{SPLIT_NAMES.get(split, split)} {name}")
                yield FigureSpec(f"figures/curves_{number}_{split}_{metric}.png", f"{spec.title}: {name}", draw)
            elif spec.columns:
                key = f"report.learning_curves[{number - 1}].columns"
                raise ConfigurationError(f"{key}: column '{column}' not found in metrics.csv of {', '.join(stages)}")


def _read_column(stages: Sequence[str], results: Results, column: str, labels: Mapping[str, str]) -> list[SeedCurves]:
    curves = []
    for stage in stages:
        seeds = [read_learning_curves(run.folder.metrics).get(column, {}) for run in results[stage]]
        if any(seeds):
            curves.append(SeedCurves(labels.get(stage, stage), seeds))
    return curves


def _sweeps(
    experiment: Experiment, results: Results, sweeps: Sequence[SweepMeans], labels: Mapping[str, str]
) -> Iterator[FigureSpec]:
    for number, (sweep, means) in enumerate(sweeps, 1):
        baselines = [
            Baseline(labels.get(stage, stage), fmean(report_values(experiment, results, stage)))
            for stage in sweep.baselines
        ]
        split = report_split(experiment, next(iter(sweep.x_to_stage.values())))
        y_label = f"{split} {experiment.metric.replace('_', ' ')}"
        draw = partial(plot_sweep, means, baselines, sweep.x_label, y_label)
        yield FigureSpec(f"figures/sweep_{number}.png", sweep.title, draw)


def _result_curves(experiment: Experiment, results: Results) -> Iterator[FigureSpec]:
    for number, spec in enumerate(experiment.report.result_curves, 1):
        runs = results[spec.stage]
        curves = [SeedCurves(label, [run.curve(name) for run in runs]) for label, name in spec.curves.items()]
        baselines = []
        for label, metric in spec.baselines.items():
            name = metric_name(experiment, spec.stage, metric)
            baselines.append(Baseline(label, fmean(run.value(name) for run in runs)))
        draw = partial(plot_result_curves, curves, baselines, spec.x_label, spec.y_label)
        yield FigureSpec(f"figures/result_curves_{number}.png", spec.title, draw)


def _scatters(tables: Sequence[TableResult]) -> Iterator[FigureSpec]:
    number = 0
    for table in tables:
        labels = {column.metric: column.heading for column in table.spec.columns}
        for scatter in table.spec.scatter:
            number += 1
            groups, baselines = _scatter_groups(table, scatter)
            draw = partial(plot_scatter, groups, baselines, labels[scatter.x], labels[scatter.y], scatter.log_x)
            yield FigureSpec(f"figures/scatter_{number}.png", scatter.title, draw)


def _scatter_groups(table: TableResult, scatter: Scatter) -> tuple[list[ScatterGroup], list[Baseline]]:
    """Return the points of a table's rows, grouped by ``join``, and baselines of rows without an x value."""
    x, y = table.means(scatter.x), table.means(scatter.y)
    groups: dict[str, list[tuple[MeanCI, MeanCI]]] = {}
    for row in table.spec.rows:
        if row.name in x and row.name in y:
            groups.setdefault(row.join or row.name, []).append((x[row.name], y[row.name]))
    baselines = [Baseline(name, mean.mean) for name, mean in y.items() if name not in x]
    return [ScatterGroup(label, points) for label, points in groups.items()], baselines


def _sample_grids(experiment: Experiment, results: Results) -> Iterator[FigureSpec]:
    for stage in experiment.report.sample_grids:
        run = results[stage][0]
        grid = run.folder.latest_sample_grid()
        if grid is not None:
            title = f"{stage}, seed {run.seed}: {grid.stem.replace('_', ' ')}"
            yield FigureSpec(f"figures/samples_{stage}.png", title, grid.read_bytes)
