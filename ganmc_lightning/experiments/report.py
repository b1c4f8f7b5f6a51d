"""The computed report, from which its JSON, Markdown and HTML files are rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganmc_lightning.experiments.cards import CardLink
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.formatting import (
    format_ci,
    format_count,
    format_duration,
    format_metric,
    format_paper,
)
from ganmc_lightning.experiments.paired_tests import PairedTestResult
from ganmc_lightning.experiments.rank_tests import RankTestResult
from ganmc_lightning.experiments.report_config import Sweep
from ganmc_lightning.experiments.results import StageResult
from ganmc_lightning.experiments.statistics import MeanCI
from ganmc_lightning.experiments.tables import ReportRow, TableResult, has_several_seeds, report_split

TableCells = tuple[list[str], list[list[str]]]
"""Headings and rows of text; an optional second line of a cell is a remark on its value."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the report.

    Attributes:
        file: path relative to the report.
        title: caption.
        png: content of the file.
    """

    file: str
    title: str
    png: bytes


@dataclass(frozen=True)
class Report:
    """All content of a report.

    Attributes:
        experiment: the experiment file.
        command: command line that reproduces the report.
        quick: whether the runs had reduced settings.
        seeds: seeds of the runs, without those of shared stages.
        environment: package versions, device and precision of the runs.
        seconds: total training time of all runs in seconds.
        rows: rows of the main table.
        notes: notes below the main table.
        paired_tests: tests of pairs of models over data sets.
        rank_tests: tests of the ranks of models over data sets.
        tables: tables of several metrics.
        sweeps: pairs of a sweep and its mean per value of the setting.
        runs: results of all runs.
        figures: plots and sample grids.
        cards: cards of students.
    """

    experiment: Experiment
    command: str
    quick: bool
    seeds: Sequence[int]
    environment: Environment
    seconds: float
    rows: Sequence[ReportRow]
    notes: Sequence[str]
    paired_tests: Sequence[PairedTestResult]
    rank_tests: Sequence[RankTestResult]
    tables: Sequence[TableResult]
    sweeps: Sequence[tuple[Sweep, Mapping[float, MeanCI]]]
    runs: Sequence[StageResult]
    figures: Sequence[ReportFigure]
    cards: Sequence[CardLink] = ()

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values."""
        return {
            "experiment": self.experiment.name,
            "title": self.experiment.title,
            "command": self.command,
            "quick": self.quick,
            "seeds": list(self.seeds),
            "environment": self.environment,
            "seconds": round(self.seconds, 1),
            "rows": [_row_json(row, self.experiment.metric) for row in self.rows],
            "paired_tests": [test.as_json() for test in self.paired_tests],
            "rank_tests": [test.as_json() for test in self.rank_tests],
            "tables": [table.as_json() for table in self.tables],
            "sweeps": [self._sweep_json(sweep, means) for sweep, means in self.sweeps],
            "notes": list(self.notes),
        }

    def _sweep_json(self, sweep: Sweep, means: Mapping[float, MeanCI]) -> dict[str, object]:
        return {
            "title": sweep.title,
            "x_label": sweep.x_label,
            "split": report_split(self.experiment, next(iter(sweep.x_to_stage.values()))),
            "points": [
                {"x": x, "stage": sweep.x_to_stage[x], "mean": mean.mean, "ci95": mean.ci95, "n": mean.n}
                for x, mean in means.items()
            ],
        }

    @property
    def captioned_tables(self) -> list[PairedTestResult | RankTestResult | TableResult]:
        """All tables below the main table, in order."""
        return [*self.paired_tests, *self.rank_tests, *self.tables]

    @property
    def summary(self) -> str:
        """Seeds, number of runs and training time as text."""
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        return f"{seeds}, {len(self.runs)} runs, {format_duration(self.seconds)} of training"

    def main_table(self) -> TableCells:
        """Return the main table as text, without columns that have no values."""
        splits = sorted({row.split for row in self.rows})
        mark_one = has_several_seeds(row.mean for row in self.rows)
        name = self.experiment.metric.replace("_", " ")
        headings = ["method", f"{name}, {splits[0]}" if len(splits) == 1 else name]
        headings += ["paper", "steps", "parameters", "FLOPs"]
        rows = []
        for row in self.rows:
            label = f"{row.spec.name}\nchosen: {row.stage}" if row.candidates else row.spec.name
            value = format_ci(row.mean, mark_one) + (f"\n{row.split}" if len(splits) > 1 else "")
            paper = f"{format_paper(row.spec.paper)}\n{row.spec.source}".rstrip()
            rows.append([label, value, paper, *map(format_count, (row.steps, row.parameters, row.flops))])
        return _without_empty_columns(headings, rows)

    def run_table(self) -> TableCells:
        """Return the table of all runs as text, without columns that have no values; the precision if it differs."""
        differ = len({run.result.precision for run in self.runs} - {None}) > 1
        rows = []
        for run in self.runs:
            result = run.result
            metrics = [result.metrics.get(f"{split}/{self.experiment.metric}") for split in ("val", "test")]
            values = ["-" if value is None else format_metric(value) for value in metrics]
            precision = (result.precision or "-") if differ else "-"
            seconds = f"{result.train_seconds:.1f} s"
            rows.append([run.stage, str(run.seed), *values, format_count(result.steps), precision, seconds])
        return _without_empty_columns(["stage", "seed", "validation", "test", "steps", "precision", "time"], rows)

    def environment_items(self) -> list[tuple[str, str]]:
        """Return command, device, threads, precision, commit and versions as pairs of name and value."""
        versions = self.environment.get("versions")
        packages = versions if isinstance(versions, dict) else {}
        items = [("command", self.command), ("device", str(self.environment.get("device", "unknown")))]
        items.append(("threads", str(self.environment.get("threads", "unknown"))))
        items += [("precision", str(self.environment["precision"]))] if self.environment.get("precision") else []
        items += [("commit", str(self.environment["git"]))] if self.environment.get("git") else []
        if older := self.environment.get("older_code"):
            items.append(("older code", f"results of another version of this package: {older}"))
        return [*items, ("versions", ", ".join(f"{name} {value}" for name, value in packages.items()))]


def _without_empty_columns(headings: list[str], rows: list[list[str]]) -> TableCells:
    used = [i for i in range(len(headings)) if any(row[i] != "-" for row in rows)]
    return [headings[i] for i in used], [[row[i] for i in used] for row in rows]


def _row_json(row: ReportRow, metric: str) -> dict[str, object]:
    return {
        "name": row.spec.name,
        "metric": metric,
        "split": row.split,
        "seeds": list(row.seeds),
        "values": list(row.values),
        "mean": row.mean.mean,
        "ci95": row.mean.ci95,
        "paper": row.spec.paper,
        "source": row.spec.source or None,
        "steps": row.steps,
        "parameters": row.parameters,
        "flops": row.flops,
        "n": row.mean.n,
        "stage": row.stage,
        "chosen_from": dict(row.candidates) or None,
    }
