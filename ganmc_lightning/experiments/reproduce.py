"""One experiment from file to report, told on the terminal while it happens."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment, load_experiment
from ganmc_lightning.experiments.formatting import format_ci, format_duration, format_metric, format_paper
from ganmc_lightning.experiments.planning import PlannedRun, plan_runs
from ganmc_lightning.experiments.report import Report
from ganmc_lightning.experiments.report_builder import make_report, write_report
from ganmc_lightning.experiments.results import load_results, read_result
from ganmc_lightning.experiments.runner import RunCommand, describe_failure, make_run, prepare, read_run_state
from ganmc_lightning.experiments.tables import ONE_SEED, has_several_seeds
from ganmc_lightning.experiments.wandb_report import log_report, logger_argument
from ganmc_lightning.experiments.workers import run_in_workers


def reproduce(
    file: Path,
    out: Path,
    seeds: Sequence[int] | None,
    quick: bool,
    command: str,
    run_command: RunCommand,
    console: Console,
    wandb_project: str | None = None,
    jobs: int = 1,
    words: Sequence[str] = (),
) -> int:
    """Make the runs of an experiment that are not there yet, then write the report.

    Args:
        file: the experiment file.
        out: the report and the runs go to ``<out>/<experiment>/``.
        seeds: instead of the file's own; None keeps those.
        quick: apply the file's ``quick`` settings.
        command: this command line, to be quoted in the report.
        run_command: runs one stage's command line.
        console: told one line per run.
        wandb_project: also send the runs and the report to this W&B project.
        jobs: number of runs at a time, each in a worker process of its own where it is more than 1.
        words: added to the command line of every stage; results do not depend on them.

    Returns:
        0 when the report is written, 130 after Ctrl-C, 143 after SIGTERM, else the exit code of the stage that failed.

    Raises:
        ConfigurationError: the experiment file or the output folder cannot be used, or a result lacks the
            experiment's metric.
    """
    experiment = load_experiment(file)
    chosen = tuple(seeds) if seeds is not None else experiment.seeds
    folder = out.resolve() / experiment.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # a folder that is there may still refuse a file
            pass
    except OSError as error:
        raise ConfigurationError(f"--out: cannot write to {folder} ({error.strerror}); name another folder") from error
    runs = plan_runs(experiment, out.resolve(), chosen, quick)
    _header(console, experiment, runs, chosen, quick)
    if wandb_project is not None:
        runs = [_on_dashboard(run, experiment, wandb_project) if run.trains else run for run in runs]
    runs = [_with_words(run, words) for run in runs]
    if jobs > 1:
        code = _make_side_by_side(experiment, runs, jobs, run_command, console)
    else:
        code = _run_stages(experiment, runs, run_command, console)
    if code:
        return code
    results = load_results(runs)
    environments = [
        record.environment
        for run in runs
        if (record := read_run_state(run.folder)) is not None and record.environment is not None
    ]
    report = make_report(experiment, results, environments, command, quick)
    write_report(report, folder)
    if wandb_project is not None:
        log_report(report, folder, wandb_project)
    _table(console, report)
    _print_line(console, f"\nreport: {out / experiment.name / 'report.html'}")
    return 0


def _run_stages(experiment: Experiment, runs: Sequence[PlannedRun], run_command: RunCommand, console: Console) -> int:
    """Make all runs in order; stop at the first that fails and say which on stderr."""
    lines = _Lines(experiment, runs, console)
    for run in runs:
        finished = prepare(run)
        outcome: int | ConfigurationError = 0
        if not finished:
            if console.is_terminal:  # names the progress bar that follows
                lines.started(run)
            outcome = _make(run, run_command)
        lines.ended(run, outcome, finished)
        if outcome:
            return outcome if isinstance(outcome, int) else 1
    return 0


def _make_side_by_side(
    experiment: Experiment, runs: Sequence[PlannedRun], jobs: int, run_command: RunCommand, console: Console
) -> int:
    """Make all runs, several at a time; say which fail on stderr."""
    lines = _Lines(experiment, runs, console)
    return run_in_workers(runs, jobs, run_command, lines.started, lines.ended)


class _Lines:
    """What the terminal shows of the runs: one line when a run starts, one when it has ended."""

    def __init__(self, experiment: Experiment, runs: Sequence[PlannedRun], console: Console) -> None:
        self.metric = experiment.metric
        self.total = len(runs)
        self.width = max(len(run.stage) for run in runs)
        self.console = console
        self.marks = ("ok", "-", "x") if console.options.ascii_only else ("✓", "·", "✗")
        self.number = 0

    def started(self, run: PlannedRun) -> None:
        _print_line(self.console, f"  {self._name(run)}  {self.number + 1} of {self.total}", "dim")

    def ended(self, run: PlannedRun, outcome: int | ConfigurationError, finished_before: bool) -> None:
        done, skip, failed = self.marks
        self.number += 1
        if outcome:
            _print_line(self.console, f"{failed} {self._name(run)}", "red")
            print(describe_failure(run, outcome), file=sys.stderr)
            return
        mark, style = (skip, "dim") if finished_before else (done, "")
        tally = f"{self.number:>{len(str(self.total))}}/{self.total}"
        _print_line(self.console, f"{mark} {self._name(run)}  {_values(run, self.metric)}  {tally}", style)

    def _name(self, run: PlannedRun) -> str:
        return f"{run.stage:<{self.width}}  seed {run.seed}"


def _on_dashboard(run: PlannedRun, experiment: Experiment, project: str) -> PlannedRun:
    return replace(run, command=(*run.command, logger_argument(run, experiment, project)))


def _with_words(run: PlannedRun, words: Sequence[str]) -> PlannedRun:
    return replace(run, command=(*run.command, *words), test=None if run.test is None else (*run.test, *words))


def _make(run: PlannedRun, run_command: RunCommand) -> int | ConfigurationError:
    try:
        return make_run(run, run_command)
    except ConfigurationError as error:
        return error
    except Exception:  # a stage is a program of its own: whatever it died of, the line below names it
        traceback.print_exc()
        return 1


def _values(run: PlannedRun, metric: str) -> str:
    result = read_result(run)
    value, tested = result.metrics.get(f"val/{metric}"), result.metrics.get(f"test/{metric}")
    parts = [f"val {format_metric(value):>6}" if value is not None else " " * 10]
    parts.append(f"test {format_metric(tested):>6}" if tested is not None else " " * 11)
    return "  ".join([*parts, f"{format_duration(result.train_seconds):>9}"])


def _header(
    console: Console, experiment: Experiment, runs: Sequence[PlannedRun], seeds: Sequence[int], quick: bool
) -> None:
    _print_line(console, experiment.title, "bold")
    parts = [_plural(len(experiment.stages), "stage"), _plural(len(seeds), "seed"), _plural(len(runs), "run")]
    _print_line(console, ", ".join([*parts, *(["quick"] if quick else [])]), "dim")


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _table(console: Console, report: Report) -> None:
    _print_line(console, "")
    mark_one = has_several_seeds(row.mean for row in report.rows)
    for row in report.rows:
        paper = "" if row.spec.paper is None else f"  (paper: {format_paper(row.spec.paper)})"
        value = format_ci(row.mean, mark_one)
        _print_line(console, f"  {row.label:<{max(len(r.label) for r in report.rows)}}  {value}{paper}")
    if report.rows and not mark_one:
        _print_line(console, f"  {ONE_SEED}", "dim")


def _print_line(console: Console, line: str, style: str = "") -> None:
    """Print a line as it is: no markup, no colouring of numbers, no folding at the terminal's edge."""
    if console.options.ascii_only:
        line = line.replace("±", "+/-").encode("ascii", "replace").decode()
    console.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)
