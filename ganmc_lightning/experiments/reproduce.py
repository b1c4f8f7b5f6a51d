"""One experiment from file to report, told on the terminal while it happens."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

from ganmc_lightning.errors import InputError
from ganmc_lightning.experiments.dashboard import log_report, logger_argument
from ganmc_lightning.experiments.document import Report
from ganmc_lightning.experiments.gather import gather, read_result
from ganmc_lightning.experiments.plan import PlannedRun, plan_runs
from ganmc_lightning.experiments.reading import load_experiment
from ganmc_lightning.experiments.report import make_report, write_report
from ganmc_lightning.experiments.runner import RunCommand, describe_failure, make_run, prepare, read_record
from ganmc_lightning.experiments.spec import Experiment
from ganmc_lightning.experiments.wording import duration, interval, printed, score


def reproduce(
    file: Path,
    out: Path,
    seeds: Sequence[int] | None,
    quick: bool,
    command: str,
    run_command: RunCommand,
    console: Console,
    wandb_project: str | None = None,
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

    Returns:
        0 when the report is written, 130 after Ctrl-C, else the exit code of the stage that failed.

    Raises:
        InputError: the experiment file or the output folder cannot be used, or a result lacks the experiment's metric.
    """
    experiment = load_experiment(file)
    chosen = tuple(seeds) if seeds is not None else experiment.seeds
    folder = out.resolve() / experiment.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # a folder that is there may still refuse a file
            pass
    except OSError as error:
        raise InputError(f"--out: cannot write to {folder} ({error.strerror}); name another folder") from error
    runs = plan_runs(experiment, out.resolve(), chosen, quick)
    _header(console, experiment, runs, chosen, quick)
    if wandb_project is not None:
        runs = [_on_dashboard(run, experiment, wandb_project) if run.trains else run for run in runs]
    code = _make_all(experiment, runs, run_command, console)
    if code:
        return code
    results = gather(runs)
    environments = [
        record.environment
        for run in runs
        if (record := read_record(run.folder)) is not None and record.environment is not None
    ]
    report = make_report(experiment, results, environments, command, quick)
    write_report(report, folder)
    if wandb_project is not None:
        log_report(report, folder, wandb_project)
    _table(console, report)
    _say(console, f"\nreport: {out / experiment.name / 'report.html'}")
    return 0


def _make_all(experiment: Experiment, runs: Sequence[PlannedRun], run_command: RunCommand, console: Console) -> int:
    """Make all runs in order; stop at the first that fails and say which on stderr."""
    width = max(len(run.stage) for run in runs)
    done, skip, failed = ("ok", "-", "x") if console.options.ascii_only else ("✓", "·", "✗")
    for number, run in enumerate(runs, 1):
        name = f"{run.stage:<{width}}  seed {run.seed}"
        finished = prepare(run)
        if not finished:
            if console.is_terminal:  # names the progress bar that follows
                _say(console, f"  {name}  {number} of {len(runs)}", "dim")
            error = _make(run, run_command)
            if error:
                _say(console, f"{failed} {name}", "red")
                print(describe_failure(run, error), file=sys.stderr)
                return error if isinstance(error, int) else 1
        values = _values(run, experiment.metric)
        tally = f"{number:>{len(str(len(runs)))}}/{len(runs)}"
        _say(console, f"{skip if finished else done} {name}  {values}  {tally}", "dim" if finished else "")
    return 0


def _on_dashboard(run: PlannedRun, experiment: Experiment, project: str) -> PlannedRun:
    return replace(run, command=(*run.command, logger_argument(run, experiment, project)))


def _make(run: PlannedRun, run_command: RunCommand) -> int | InputError:
    try:
        return make_run(run, run_command)
    except InputError as error:
        return error
    except Exception:  # a stage is a program of its own: whatever it died of, the line below names it
        traceback.print_exc()
        return 1


def _values(run: PlannedRun, metric: str) -> str:
    result = read_result(run)
    value, tested = result.validation.get(f"val/{metric}"), result.test.get(f"test/{metric}")
    parts = [f"val {score(value):>6}" if value is not None else " " * 10]
    parts.append(f"test {score(tested):>6}" if tested is not None else " " * 11)
    return "  ".join([*parts, f"{duration(result.seconds):>9}"])


def _header(
    console: Console, experiment: Experiment, runs: Sequence[PlannedRun], seeds: Sequence[int], quick: bool
) -> None:
    _say(console, experiment.title, "bold")
    parts = [_plural(len(experiment.stages), "stage"), _plural(len(seeds), "seed"), _plural(len(runs), "run")]
    _say(console, ", ".join([*parts, *(["quick"] if quick else [])]), "dim")


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _table(console: Console, report: Report) -> None:
    _say(console, "")
    for row in report.rows:
        paper = "" if row.row.paper is None else f"  (paper: {printed(row.row.paper)})"
        _say(console, f"  {row.label:<{max(len(r.label) for r in report.rows)}}  {interval(row.mean)}{paper}")


def _say(console: Console, line: str, style: str = "") -> None:
    """Print a line as it is: no markup, no colouring of numbers, no folding at the terminal's edge."""
    if console.options.ascii_only:
        line = line.replace("±", "+/-").encode("ascii", "replace").decode()
    console.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)
