"""Reproduce an experiment: load its file, plan and execute its runs, load their results, write the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment, load_experiment
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.partial import drop_missing
from ganmc_lightning.experiments.planning import PlannedRun, plan_runs
from ganmc_lightning.experiments.progress import ProgressPrinter, print_line, print_table
from ganmc_lightning.experiments.report_builder import make_report, write_report
from ganmc_lightning.experiments.results import load_results
from ganmc_lightning.experiments.runner import RunCommand, read_run_state
from ganmc_lightning.experiments.scheduling import run_stages
from ganmc_lightning.experiments.wandb_report import log_report, logger_argument


def reproduce(
    file: Path,
    out: Path,
    *,
    command: str,
    run_command: RunCommand,
    console: Console,
    seeds: Sequence[int] | None = None,
    quick: bool = False,
    jobs: int = 1,
    keep_going: bool = False,
    accept_older_code: bool = False,
    wandb_project: str | None = None,
    extra_arguments: Sequence[str] = (),
) -> int:
    """Execute the runs of an experiment that are not finished, then write the report.

    Args:
        file: the experiment file.
        out: output folder; the runs and the report are written to ``<out>/<experiment>/``.
        command: this command line, as shown in the report.
        run_command: entry point of the command line, called for each stage.
        console: terminal output.
        seeds: seeds instead of those in the file.
        quick: whether to apply the file's ``quick`` overrides.
        jobs: number of runs at a time, each in a worker process if more than 1.
        keep_going: after a failure, skip the runs that depend on it, execute all others, and report what is available.
        accept_older_code: reuse results of another version of this package's source.
        wandb_project: W&B project that also receives the runs and the report.
        extra_arguments: added to the command line of every stage; results do not depend on them.

    Returns:
        0 if the report is complete, 130 after Ctrl-C, 143 after SIGTERM, 1 if it is partial (``keep_going``), else the
        exit code of the first run that failed.

    Raises:
        ConfigurationError: the experiment file or the output folder cannot be used, or a result lacks the
            experiment's metric.
    """
    experiment = load_experiment(file)
    folder = _make_writable(out.resolve() / experiment.name)
    runs = plan_runs(experiment, out.resolve(), experiment.seeds if seeds is None else seeds, quick)
    show_starts = jobs > 1 or console.is_terminal  # in a terminal, the name precedes the progress bar of the run
    outcomes = run_stages(
        [_add_arguments(run, experiment, wandb_project, extra_arguments) for run in runs],
        run_command,
        ProgressPrinter(experiment, runs, console, quick, show_starts),
        jobs=jobs,
        keep_going=keep_going,
        accept_older_code=accept_older_code,
    )
    failures = [outcome for outcome in outcomes.values() if outcome.code]
    finished = [run for run in runs if run.id in outcomes and not outcomes[run.id].code]
    if failures and (not keep_going or not finished or any(outcome.interrupted for outcome in failures)):
        return max(failures, key=lambda outcome: outcome.interrupted).code

    results = load_results(finished)
    missing = [run for run in runs if run not in finished]
    report = make_report(drop_missing(experiment, results), results, _environments(finished), command, quick)
    report = replace(report, notes=[*_missing_note(missing), *report.notes])
    write_report(report, folder)
    if wandb_project is not None:
        log_report(report, folder, wandb_project)
    print_table(console, report)
    print_line(console, f"\nreport: {out / experiment.name / 'report.html'}")
    return 1 if failures else 0


def _make_writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # an existing folder may be read-only
            pass
    except OSError as error:
        raise ConfigurationError(f"--out: cannot write to {folder} ({error.strerror}); name another folder") from error
    return folder


def _add_arguments(
    run: PlannedRun, experiment: Experiment, wandb_project: str | None, arguments: Sequence[str]
) -> PlannedRun:
    """Return a run whose command lines have further arguments that do not affect its result."""
    logger = [logger_argument(run, experiment, wandb_project)] if wandb_project is not None and run.trains else []
    test = None if run.test is None else (*run.test, *arguments)
    return replace(run, command=(*run.command, *logger, *arguments), test=test)


def _environments(runs: Sequence[PlannedRun]) -> list[Environment]:
    """Return the environment of each run; runs of older code are named in it."""
    states = {run.id: state for run in runs if (state := read_run_state(run.folder.state)) is not None}
    older = [
        f"{run.stage} seed {run.seed}"
        for run in runs
        if run.id in states and states[run.id].fingerprint.source != run.fingerprint.source
    ]
    shared: Environment = {"older_code": ", ".join(older)} if older else {}
    return [state.environment | shared for state in states.values() if state.environment is not None]


def _missing_note(runs: Sequence[PlannedRun]) -> list[str]:
    names = ", ".join(f"{run.stage} seed {run.seed}" for run in runs)
    return [f"Incomplete report: {len(runs)} runs failed or were skipped ({names})."] if runs else []
