"""A finished report as a value: what the three files of it are rendered from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganmc_lightning.experiments.config import Experiment, Sweep
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.formatting import count, interval, printed, score
from ganmc_lightning.experiments.metric_table import MetricTable
from ganmc_lightning.experiments.results import StageResult
from ganmc_lightning.experiments.statistics import Estimate
from ganmc_lightning.experiments.table import ReportRow, several_seeds


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the report.

    Attributes:
        file: relative to the report.
        title: caption.
        png: the picture itself.
    """

    file: str
    title: str
    png: bytes


@dataclass(frozen=True)
class Report:
    """All that a report says.

    Attributes:
        experiment: what was asked for.
        command: the command line that makes this report.
        quick: whether the settings were reduced.
        seeds: those that were run.
        environment: where the runs were made.
        seconds: training time of all runs together.
        rows: the table that compares methods by the experiment's metric.
        notes: remarks under that table.
        tables: those of several metrics.
        sweeps: the numbers behind each sweep's figure.
        runs: every single run.
        pictures: figures and sample grids.
    """

    experiment: Experiment
    command: str
    quick: bool
    seeds: Sequence[int]
    environment: Environment
    seconds: float
    rows: Sequence[ReportRow]
    notes: Sequence[str]
    tables: Sequence[MetricTable]
    sweeps: Sequence[tuple[Sweep, Mapping[float, Estimate]]]
    runs: Sequence[StageResult]
    pictures: Sequence[ReportFigure]

    def as_json(self) -> dict[str, object]:
        """Spell the report with strings, numbers, lists and mappings alone."""
        return {
            "experiment": self.experiment.name,
            "title": self.experiment.title,
            "command": self.command,
            "quick": self.quick,
            "seeds": list(self.seeds),
            "environment": self.environment,
            "seconds": round(self.seconds, 1),
            "rows": [_row_json(row, self.experiment.metric) for row in self.rows],
            "tables": [table.as_json() for table in self.tables],
            "sweeps": [_sweep_json(sweep, points) for sweep, points in self.sweeps],
            "notes": list(self.notes),
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Lay the table out as text: headings and cells; a column that nobody fills is left out.

        A cell's second line, if it has one, is a remark on the first.
        """
        splits = sorted({row.split for row in self.rows})
        mark_one = several_seeds(row.mean for row in self.rows)
        name = self.experiment.metric.replace("_", " ")
        headings = ["method", f"{name}, {splits[0]}" if len(splits) == 1 else name]
        headings += ["paper", "steps", "parameters", "FLOPs"]
        lines = []
        for row in self.rows:
            label = f"{row.row.name}\nchosen: {row.stage}" if row.candidates else row.row.name
            value = interval(row.mean, mark_one) + (f"\n{row.split}" if len(splits) > 1 else "")
            paper = f"{printed(row.row.paper)}\n{row.row.source}".rstrip()
            counts = [count(row.steps), count(row.parameters), count(row.flops)]
            lines.append([label, value, paper, *counts])
        return _without_empty_columns(headings, lines)

    def run_table(self) -> tuple[list[str], list[list[str]]]:
        """Lay every single run out as text."""
        metric = self.experiment.metric
        lines = []
        for run in self.runs:
            result = run.result
            scores = [result.metrics.get(f"{split}/{metric}") for split in ("val", "test")]
            values = ["-" if value is None else score(value) for value in scores]
            lines.append([run.stage, str(run.seed), *values, count(result.steps), f"{result.train_seconds:.1f} s"])
        return _without_empty_columns(["stage", "seed", "validation", "test", "steps", "time"], lines)

    def environment_lines(self) -> list[tuple[str, str]]:
        """List where the numbers were made, as pairs of name and value."""
        versions = self.environment.get("versions")
        packages = versions if isinstance(versions, dict) else {}
        lines = [("command", self.command), ("device", str(self.environment.get("device", "unknown")))]
        lines.append(("threads", str(self.environment.get("threads", "unknown"))))
        lines += [("commit", str(self.environment["git"]))] if self.environment.get("git") else []
        return [*lines, ("versions", ", ".join(f"{name} {value}" for name, value in packages.items()))]


def _without_empty_columns(headings: list[str], lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    used = [i for i in range(len(headings)) if any(line[i] != "-" for line in lines)]
    return [headings[i] for i in used], [[line[i] for i in used] for line in lines]


def _row_json(row: ReportRow, metric: str) -> dict[str, object]:
    return {
        "name": row.row.name,
        "metric": metric,
        "split": row.split,
        "values": list(row.values),
        "mean": row.mean.mean,
        "ci95": row.mean.ci95,
        "paper": row.row.paper,
        "source": row.row.source or None,
        "steps": row.steps,
        "parameters": row.parameters,
        "flops": row.flops,
        "n": row.mean.n,
        "stage": row.stage,
        "chosen_from": dict(row.candidates) or None,
    }


def _sweep_json(sweep: Sweep, points: Mapping[float, Estimate]) -> dict[str, object]:
    return {
        "title": sweep.title,
        "x_label": sweep.x_label,
        "points": [
            {"x": x, "stage": sweep.points[x], "mean": point.mean, "ci95": point.ci95, "n": point.n}
            for x, point in points.items()
        ],
    }
