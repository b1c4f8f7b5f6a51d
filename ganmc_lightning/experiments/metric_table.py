"""Tables of several metrics: one line a network, forest or set of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganmc_lightning.experiments.config import Column, Experiment, Line, Table
from ganmc_lightning.experiments.formatting import count, interval, printed, ratio, size
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import Estimate, estimate
from ganmc_lightning.experiments.table import ONE_SEED, metric_name, several_seeds, split_of


@dataclass(frozen=True)
class MetricTable:
    """A table with its numbers.

    Attributes:
        table: what the experiment file says of it.
        values: for each line, metric -> one value per seed; a metric that the line has none of is left out.
        splits: for each line, "test" or "validation".
    """

    table: Table
    values: Sequence[Mapping[str, tuple[float, ...]]]
    splits: Sequence[str]

    def means(self, metric: str) -> list[tuple[str, Estimate]]:
        """Name and mean of every line that has the metric."""
        lines = zip(self.table.rows, self.values, strict=True)
        return [(line.name, estimate(values[metric])) for line, values in lines if metric in values]

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Lay the table out as text: headings and cells. A cell's second line is a remark on the first."""
        headings = ["", *(column.heading for column in self.table.columns)]
        mark_one = several_seeds(self._scores())
        lines = [
            [line.name, *(_cell(column, values, line.paper, mark_one) for column in self.table.columns)]
            for line, values in zip(self.table.rows, self.values, strict=True)
        ]
        return headings, lines

    def remarks(self) -> list[str]:
        """What stands under the table: its note, that there is one seed, and where the paper's numbers are from."""
        remarks = [self.table.note] if self.table.note else []
        if any(mean.n == 1 for mean in self._scores()):
            remarks.append(ONE_SEED)
        if any(line.paper for line in self.table.rows):
            remarks.append(f"Paper: {self.table.source or 'the number printed there'}.")
        return remarks

    def _scores(self) -> list[Estimate]:
        """The numbers that are written with an interval."""
        metrics = [column.metric for column in self.table.columns if column.format == "number"]
        return [estimate(values[metric]) for values in self.values for metric in metrics if metric in values]

    def as_json(self) -> dict[str, object]:
        """Spell the table with strings, numbers, lists and mappings alone: one row a line and metric."""
        rows = []
        for line, values, split in zip(self.table.rows, self.values, self.splits, strict=True):
            for metric, numbers in values.items():
                mean = estimate(numbers)
                rows.append(
                    {
                        "name": line.name,
                        "metric": metric,
                        "split": split,
                        "values": list(numbers),
                        "mean": mean.mean,
                        "ci95": mean.ci95,
                        "paper": line.paper.get(metric),
                        "source": self.table.source if metric in line.paper else None,
                        "n": mean.n,
                        "stage": line.stage,
                    }
                )
        return {"title": self.table.title, "rows": rows, "notes": self.remarks()}


def make_tables(experiment: Experiment, results: Results) -> list[MetricTable]:
    """Read the numbers of all tables of several metrics.

    Raises:
        ConfigurationError: no line has a value in one of the columns.
    """
    return [_make_table(experiment, results, table) for table in experiment.report.tables]


def _make_table(experiment: Experiment, results: Results, table: Table) -> MetricTable:
    values = [_values(experiment, results, line, table.columns) for line in table.rows]
    for column in table.columns:
        if not any(column.metric in line for line in values):
            line = table.rows[0]  # whose complaint says what there is instead
            results[line.stage][0].value(metric_name(experiment, line.stage, line.metric(column.metric)))
    return MetricTable(table, values, [split_of(experiment, line.stage) for line in table.rows])


def _values(
    experiment: Experiment, results: Results, line: Line, columns: Sequence[Column]
) -> dict[str, tuple[float, ...]]:
    runs = results[line.stage]
    names = {column.metric: metric_name(experiment, line.stage, line.metric(column.metric)) for column in columns}
    return {
        metric: tuple(run.value(name) for run in runs)
        for metric, name in names.items()
        if all(run.has(name) for run in runs)
    }


def _cell(column: Column, values: Mapping[str, tuple[float, ...]], paper: Mapping[str, float], mark_one: bool) -> str:
    """Write a mean with its interval; the paper's number is a remark."""
    if column.metric not in values:
        return "-"
    mean = estimate(values[column.metric])
    if column.format == "count":
        text = count(round(mean.mean))
    elif column.format == "bytes":
        text = size(mean.mean)
    elif column.format == "ratio":
        text = ratio(mean.mean)
    else:
        text = interval(mean, mark_one)
    return f"{text}\npaper {printed(paper[column.metric])}" if column.metric in paper else text
