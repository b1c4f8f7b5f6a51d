"""Reproduce an experiment: load its file, plan and execute its runs, load their results, write the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED
from ganmc_lightning.experiments.cards import write_cards
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.executors import make_executor
from ganmc_lightning.experiments.partial import drop_missing, select_stages
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.progress import ProgressPrinter, print_report
from ganmc_lightning.experiments.report_builder import make_report, selection_notes, write_report
from ganmc_lightning.experiments.results import load_results, seeds_of
from ganmc_lightning.experiments.runner import RunCommand, has_usable_result
from ganmc_lightning.experiments.scheduling import run_stages
from ganmc_lightning.experiments.wandb_report import log_report
from ganmc_lightning.io.folder_lock import lock_folder


def reproduce(
    file: Path,
    out: Path,
    *,
    command: str,
    run_command: RunCommand,
    console: Console,
    seeds: Sequence[int] | None = None,
    stages: Sequence[str] | None = None,
    quick: bool = False,
    jobs: int | None = None,
    on: str | None = None,
    resources: Mapping[str, Any] | None = None,
    keep_going: bool = False,
    accept_older_code: bool = False,
    wandb_project: str | None = None,
) -> int:
    """Execute the unfinished runs of an experiment, then write the report.

    Args:
        file: the experiment file.
        out: output folder; the runs and the report are written to ``<out>/<experiment>/``.
        command: command line to show in the report.
        run_command: entry point of the command line, called for each stage.
        console: terminal output.
        seeds: seeds that replace those of the file.
        stages: stages to run, with those that they need (default: all); the report also contains
            other stages whose runs are all finished.
        quick: whether to apply the file's ``quick`` overrides.
        jobs: maximum number of parallel runs (default: 1 on this machine, all on a cluster); more than 1 use processes.
        on: cluster of the runs; see :func:`~ganmc_lightning.experiments.executors.make_executor`.
        resources: resources of each run on the cluster.
        keep_going: after a failure, skip the runs that depend on it, execute all others, and report what is available.
        accept_older_code: reuse results of another version of this package.
        wandb_project: W&B project that also receives the runs and the report.

    Returns:
        0 if the report is complete, 130 after Ctrl-C, 143 after SIGTERM, 1 if the report is partial (``keep_going``)
        or a card could not be written, else the exit code of the first run that failed.

    Raises:
        ConfigurationError: the experiment file, a stage or the output folder cannot be used, another process uses the
            folder, or a result lacks the experiment's metric.
    """
    experiment = load_experiment(file)
    selected = experiment if stages is None else select_stages(experiment, stages)
    folder = out.resolve() / experiment.name
    with lock_folder(folder, "--out"):
        plan = plan_runs(experiment, out.resolve(), experiment.seeds if seeds is None else seeds, quick, wandb_project)
        runs = [run for run in plan if run.stage in selected.stages]
        jobs = min(jobs or (1 if on is None else len(runs)), len(runs))
        executor = make_executor(on, jobs, folder / "slurm", resources or {})
        # In a terminal, the name of a run precedes its progress bar.
        progress = ProgressPrinter(
            selected, runs, console, quick, show_starts=jobs > 1 or on is not None or console.is_terminal
        )
        outcomes = run_stages(
            runs, run_command, progress, executor, jobs=jobs, keep_going=keep_going, accept_older_code=accept_older_code
        )
        failures = [outcome for outcome in outcomes.values() if outcome.code]
        finished = [run for run in runs if run.id in outcomes and not outcomes[run.id].code]
        if failures and (not keep_going or not finished or any(outcome.interrupted for outcome in failures)):
            return max(failures, key=lambda outcome: outcome.interrupted).code

        others = [run for run in plan if run.stage not in selected.stages]
        unusable = {run.stage for run in others if not has_usable_result(run, accept_older_code)}
        earlier = [run for run in others if run.stage not in unusable]
        results = load_results([run for run in plan if run in finished or run in earlier])
        missing = [f"{run.stage} seed {run.seed}" for run in runs if run not in finished]
        available = drop_missing(experiment, seeds_of(results))
        cards, without_card = write_cards(available, results, folder, run_command)
        for code in without_card.values():
            if code in (INTERRUPTED, TERMINATED):
                return code
        notes = selection_notes(missing, list(dict.fromkeys(run.stage for run in earlier)), len(unusable))
        report = make_report(available, results, command, quick, notes, cards)
        write_report(report, folder)
        if wandb_project is not None:
            log_report(report, folder, wandb_project)
        print_report(console, report, out / experiment.name / "report.html")
        return 1 if failures or without_card else 0
