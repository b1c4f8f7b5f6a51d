"""Tables of a report: the main table, tables of several metrics, and the notes below them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.formatting import (
    format_bytes,
    format_ci,
    format_count,
    format_metric,
    format_paper,
    format_ratio,
)
from ganmc_lightning.experiments.report_config import MetricTable, Row, TableColumn, TableRow
from ganmc_lightning.experiments.results import Results, common_seeds, seeds_of
from ganmc_lightning.experiments.statistics import MeanCI, mean_ci

ONE_SEED = "n = 1: one seed, no interval; a difference between two such rows may be chance."
"""Note of a table with a value of one seed."""


@dataclass(frozen=True)
class ReportRow:
    """One row of the main table with its values.

    Attributes:
        spec: the row in the experiment file.
        stage: stage that provides the values.
        split: "test", or "validation" for a stage without test.
        seeds: seeds of the values.
        values: one value per seed.
        mean: mean over the seeds.
        candidates: stage -> mean validation value over their common seeds if the row selects a stage; else empty.
        steps: optimizer steps, mean over seeds; None if a run did not record them.
        parameters: number of parameters of the trained network.
        flops: floating-point operations of one forward pass.
    """

    spec: Row
    stage: str
    split: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: MeanCI
    candidates: Mapping[str, float]
    steps: int | None
    parameters: int | None
    flops: int | None

    @property
    def label(self) -> str:
        """Name of the row, with the selected stage if there are candidates."""
        return f"{self.spec.name}, chosen: {self.stage}" if self.candidates else self.spec.name


@dataclass(frozen=True)
class TableResult:
    """A table of several metrics with its values.

    Attributes:
        spec: the table in the experiment file.
        values: for each row, metric -> one value per seed, without metrics that the stage of the row lacks.
        seeds: for each row, metric -> seeds of the values.
        splits: for each row, metric -> "test" or "validation".
    """

    spec: MetricTable
    values: Sequence[Mapping[str, tuple[float, ...]]]
    seeds: Sequence[Mapping[str, tuple[int, ...]]]
    splits: Sequence[Mapping[str, str]]

    def means(self, metric: str) -> dict[str, MeanCI]:
        """Return row name -> mean for every row that has the metric."""
        rows = zip(self.spec.rows, self.values, strict=True)
        return {row.name: mean_ci(values[metric]) for row, values in rows if metric in values}

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells as text; an optional second line of a cell is a remark on its value."""
        mark_one = has_several_seeds(self._numbers())
        rows = []
        for row, values in zip(self.spec.rows, self.values, strict=True):
            cells = [row.name]
            for column in self.spec.columns:
                text = _format(column, mean_ci(values[column.metric]), mark_one) if column.metric in values else "-"
                paper = row.paper.get(column.metric) if column.metric in values else None
                cells.append(text if paper is None else f"{text}\npaper {format_paper(paper)}")
            rows.append(cells)
        return ["", *(column.heading for column in self.spec.columns)], rows

    def notes(self) -> list[str]:
        """Return the notes below the table: the table's note, a note on single seeds, and the paper's source."""
        notes = [self.spec.note] if self.spec.note else []
        if any(mean.n == 1 for mean in self._numbers()):
            notes.append(ONE_SEED)
        if any(row.paper for row in self.spec.rows):
            notes.append(f"Paper: {self.spec.source or 'value printed in the paper'}.")
        return notes

    def _numbers(self) -> list[MeanCI]:
        """Return the means that are shown with an interval."""
        metrics = [column.metric for column in self.spec.columns if column.format == "number"]
        return [mean_ci(values[metric]) for values in self.values for metric in metrics if metric in values]

    def as_json(self) -> dict[str, object]:
        """Return the table as plain values: one entry per row and metric."""
        rows = []
        for row, metrics, seeds, splits in zip(self.spec.rows, self.values, self.seeds, self.splits, strict=True):
            for metric, values in metrics.items():
                mean = mean_ci(values)
                rows.append(
                    {
                        "name": row.name,
                        "metric": metric,
                        "split": splits[metric],
                        "seeds": list(seeds[metric]),
                        "values": list(values),
                        "mean": mean.mean,
                        "ci95": mean.ci95,
                        "paper": row.paper.get(metric),
                        "source": self.spec.source if metric in row.paper else None,
                        "n": mean.n,
                        "stage": row.source_of(metric)[0],
                    }
                )
        return {"title": self.spec.title, "rows": rows, "notes": self.notes()}


def report_split(experiment: Experiment, stage: str) -> str:
    """Return the split of a stage's reported values: "test", or "validation" for a stage without test."""
    return "test" if experiment.stages[stage].test else "validation"


def metric_name(experiment: Experiment, stage: str, metric: str) -> str:
    """Return the full name of a stage's reported metric, such as ``test/accuracy``."""
    return f"{'test' if experiment.stages[stage].test else 'val'}/{metric}"


def report_values(experiment: Experiment, results: Results, stage: str) -> tuple[float, ...]:
    """Return a stage's reported value for every seed.

    Raises:
        ConfigurationError: a run lacks the metric.
    """
    name = metric_name(experiment, stage, experiment.metric)
    return tuple(run.value(name) for run in results[stage])


def has_several_seeds(means: Iterable[MeanCI]) -> bool:
    """Return whether a table has a mean over several seeds, so that cells of one seed are marked "(n = 1)"."""
    return any(mean.n > 1 for mean in means)


def make_rows(experiment: Experiment, results: Results) -> list[ReportRow]:
    """Compute all rows of the main table.

    Raises:
        ConfigurationError: a run lacks the metric.
    """
    return [_make_row(experiment, results, row) for row in experiment.report.rows]


def _make_row(experiment: Experiment, results: Results, row: Row) -> ReportRow:
    candidates = _validation_means(experiment, results, row.stages) if len(row.stages) > 1 else {}
    stage = _select(candidates, experiment.mode) if candidates else row.stages[0]
    values = report_values(experiment, results, stage)
    runs = [run.result for run in results[stage]]
    return ReportRow(
        spec=row,
        stage=stage,
        split=report_split(experiment, stage),
        seeds=tuple(run.seed for run in results[stage]),
        values=values,
        mean=mean_ci(values),
        candidates=candidates,
        steps=_mean_count([run.steps for run in runs]),
        parameters=_mean_count([run.parameters for run in runs]),
        flops=_mean_count([run.flops for run in runs]),
    )


def _validation_means(experiment: Experiment, results: Results, stages: Sequence[str]) -> dict[str, float]:
    """Return the validation mean of each stage over the seeds that all stages have, because seeds differ in level."""
    seeds = common_seeds(experiment, stages, seeds_of(results))
    runs = {name: [run for run in results[name] if run.seed in seeds] or results[name] for name in stages}
    return {name: fmean(run.value(f"val/{experiment.metric}") for run in found) for name, found in runs.items()}


def _select(validation: Mapping[str, float], mode: str) -> str:
    """Return the stage with the best validation mean, the first of equal means; diverged stages come last."""
    sign = 1 if mode == "max" else -1
    return max(validation, key=lambda stage: sign * value if math.isfinite(value := validation[stage]) else -math.inf)


def _mean_count(counts: Sequence[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return round(fmean(known)) if known and len(known) == len(counts) else None


def make_tables(experiment: Experiment, results: Results) -> list[TableResult]:
    """Collect the values of all tables of several metrics.

    Raises:
        ConfigurationError: no row has a value in one of the columns.
    """
    return [_make_table(experiment, results, table) for table in experiment.report.tables]


def _make_table(experiment: Experiment, results: Results, table: MetricTable) -> TableResult:
    values, seeds, splits = [], [], []
    for row in table.rows:
        found: dict[str, tuple[float, ...]] = {}
        for column in table.columns:
            stage, name = _reported_metric(experiment, row, column.metric)
            if all(run.has(name) for run in results[stage]):
                found[column.metric] = tuple(run.value(name) for run in results[stage])
        sources = {metric: row.source_of(metric)[0] for metric in found}
        values.append(found)
        seeds.append({metric: tuple(run.seed for run in results[stage]) for metric, stage in sources.items()})
        splits.append({metric: report_split(experiment, stage) for metric, stage in sources.items()})
    for column in table.columns:
        if not any(column.metric in metrics for metrics in values):
            stage, name = _reported_metric(experiment, table.rows[0], column.metric)
            results[stage][0].value(name)  # raises an error that lists the metrics of the stage
    return TableResult(table, values, seeds, splits)


def _reported_metric(experiment: Experiment, row: TableRow, metric: str) -> tuple[str, str]:
    """Return the stage of a row's metric, and the full name of the metric, such as ``test/accuracy``."""
    stage, name = row.source_of(metric)
    return stage, metric_name(experiment, stage, name)


def _format(column: TableColumn, mean: MeanCI, mark_one: bool) -> str:
    if not math.isfinite(mean.mean):
        return "none"
    if column.format == "count":
        return format_count(round(mean.mean))
    if column.format == "bytes":
        return format_bytes(mean.mean)
    return format_ratio(mean.mean) if column.format == "ratio" else format_ci(mean, mark_one)


def make_notes(experiment: Experiment, rows: Sequence[ReportRow], quick: bool) -> list[str]:
    """Return the notes below the main table: uncertainty, step budgets, selected stages and the paper's values."""
    notes = []
    if quick:
        notes.append("Quick run with reduced settings: a smoke test of all stages; the numbers are not meaningful.")
    sizes = sorted({row.mean.n for row in rows if row.mean.n > 1})
    if sizes:
        seeds = " or ".join(map(str, sizes))
        notes.append(
            f"± is the half-width of the 95 % Student-t interval of the mean over {seeds} seeds: "
            "the variation between training runs, not between test sets."
        )
    if any(row.mean.n == 1 for row in rows):
        notes.append(ONE_SEED)
    diverged = [row.label for row in rows if not math.isfinite(row.mean.mean)]
    notes += [f"{label}: the value of a run is not finite, so no mean is shown." for label in diverged]
    notes += _step_notes(rows)
    for row in rows:
        if row.candidates:
            each = ", ".join(f"{stage} {format_metric(value)}" for stage, value in row.candidates.items())
            notes.append(
                f"{row.spec.name}: {row.stage} was chosen on validation {experiment.metric} ({each}); the {row.split} "
                "value shown was not used for the choice."
            )
    if any(row.spec.paper is not None for row in rows):
        notes.append("Paper: value in the paper; its data, networks and budget may differ.")
    return notes


def _step_notes(rows: Sequence[ReportRow]) -> list[str]:
    """Compare the optimizer steps within each group."""
    notes = []
    groups: dict[str, list[ReportRow]] = {}
    for row in rows:
        groups.setdefault(row.spec.step_budget_group, []).append(row)
    for group in groups.values():
        steps = {row.steps for row in group}
        if len(group) < 2 or steps == {None}:
            continue
        if len(steps) == 1:
            subject = "all rows" if len(groups) == 1 else "; ".join(row.spec.name for row in group)
            notes.append(f"Equal budgets of {format_count(group[0].steps)} optimizer steps: {subject}.")
        else:
            each = "; ".join(f"{row.spec.name} {format_count(row.steps)}" for row in group)
            notes.append(f"Unequal budgets: these rows differ in the number of optimizer steps: {each}.")
    return notes
