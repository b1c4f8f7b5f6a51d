"""Terminal output of ``ganmc reproduce``: one line per run, then the table of the report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.formatting import format_ci, format_duration, format_metric, format_paper
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.report import Report
from ganmc_lightning.experiments.results import read_result
from ganmc_lightning.experiments.runner import Outcome, describe_failure
from ganmc_lightning.experiments.tables import ONE_SEED, has_several_seeds


class ProgressPrinter:
    """Print a line for each event of a schedule, and failures to stderr.

    Args:
        experiment: the experiment.
        runs: all runs of the plan.
        console: terminal output.
        quick: whether the ``quick`` overrides apply.
        show_starts: whether to print a line for each run that starts.
    """

    def __init__(
        self, experiment: Experiment, runs: Sequence[PlannedRun], console: Console, quick: bool, show_starts: bool
    ) -> None:
        self.metric = experiment.metric
        self.total = len(runs)
        self.width = max(len(run.stage) for run in runs)
        self.console = console
        self.show_starts = show_starts
        self.marks = ("ok", "-", "x") if console.options.ascii_only else ("✓", "·", "✗")
        self.number = 0
        seeds = len({run.seed for run in runs})
        facts = [_plural(len(experiment.stages), "stage"), _plural(seeds, "seed"), _plural(self.total, "run")]
        if quick:
            facts.append("quick")
        elif experiment.duration and {run.seed for run in runs} == set(experiment.seeds):
            facts.append(f"{experiment.duration}{f' on a {experiment.device}' if experiment.device else ''}")
        print_line(console, experiment.title, "bold")
        print_line(console, ", ".join(facts), "dim")

    def on_archive(self, run: PlannedRun, differences: Sequence[str]) -> None:
        """Print the differences because of which an earlier result is not reused."""
        print_line(
            self.console, f"  {self._name(run)}  earlier result archived, changed: {', '.join(differences)}", "dim"
        )

    def on_start(self, run: PlannedRun) -> None:
        """Print the name of a run."""
        if self.show_starts:
            print_line(self.console, f"  {self._name(run)}  started", "dim")

    def on_end(self, run: PlannedRun, outcome: Outcome) -> None:
        """Print the metrics of a finished run, or the cause of a failure."""
        finished, reused, failed = self.marks
        self.number += 1
        if outcome.code:
            print_line(self.console, f"{failed} {self._name(run)}", "red")
            print(describe_failure(run, outcome), file=sys.stderr)
            return
        mark, style = (reused, "dim") if outcome.reused else (finished, "")
        tally = f"{self.number:>{len(str(self.total))}}/{self.total}"
        print_line(self.console, f"{mark} {self._name(run)}  {_metrics(run, self.metric)}  {tally}", style)

    def _name(self, run: PlannedRun) -> str:
        return f"{run.stage:<{self.width}}  seed {run.seed}"


def print_report(console: Console, report: Report, file: Path) -> None:
    """Print the rows of a report with means and values from the paper, its conclusions, and its path."""
    print_line(console, "")
    mark_one = has_several_seeds(row.mean for row in report.rows)
    width = max((len(row.label) for row in report.rows), default=0)
    for row in report.rows:
        paper = "" if row.spec.paper is None else f"  (paper: {format_paper(row.spec.paper)})"
        print_line(console, f"  {row.label:<{width}}  {format_ci(row.mean, mark_one)}{paper}")
    if report.rows and not mark_one:
        print_line(console, f"  {ONE_SEED}", "dim")
    for test in report.paired_tests:
        if test.spec.subject:
            print_line(console, f"  {test.conclusion}")
    print_line(console, f"\nreport: {file}")


def print_line(console: Console, line: str, style: str = "") -> None:
    """Print a line without markup, highlighting or wrapping."""
    if console.options.ascii_only:
        line = line.replace("±", "+/-").encode("ascii", "replace").decode()
    console.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)


def _metrics(run: PlannedRun, metric: str) -> str:
    result = read_result(run)
    validation, test = result.metrics.get(f"val/{metric}"), result.metrics.get(f"test/{metric}")
    parts = [f"val {format_metric(validation):>6}" if validation is not None else " " * 10]
    parts.append(f"test {format_metric(test):>6}" if test is not None else " " * 11)
    return "  ".join([*parts, f"{format_duration(result.train_seconds):>9}"])


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
