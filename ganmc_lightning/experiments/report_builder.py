"""Compute a report and write its files ``report.json``, ``report.md``, ``report.html`` and ``figures/*.png``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ganmc_lightning.experiments.cards import CardLink
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.figures import make_figures
from ganmc_lightning.experiments.paired_tests import make_paired_tests
from ganmc_lightning.experiments.rank_tests import make_rank_tests
from ganmc_lightning.experiments.rendering import render_html, render_markdown
from ganmc_lightning.experiments.report import Report
from ganmc_lightning.experiments.results import Results, StageResult
from ganmc_lightning.experiments.statistics import mean_ci
from ganmc_lightning.experiments.tables import make_notes, make_rows, make_tables, report_values
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.structured import write_json


def make_report(
    experiment: Experiment,
    results: Results,
    command: str,
    quick: bool,
    selection: Sequence[str] = (),
    cards: Sequence[CardLink] = (),
) -> Report:
    """Compute a report.

    Args:
        experiment: the experiment file.
        results: stage -> results of its runs, one per seed, by ascending seed.
        command: command line that reproduces the report.
        quick: whether the runs had reduced settings.
        selection: notes on missing runs and stages, see :func:`selection_notes`.
        cards: cards of students.

    Raises:
        ConfigurationError: the experiment's metric, or a metric, curve or column of a table or figure is missing in a
            run.
    """
    rows = make_rows(experiment, results)
    tables = make_tables(experiment, results)
    rank_tests = make_rank_tests(experiment, results)
    sweeps = [
        (sweep, {x: mean_ci(report_values(experiment, results, stage)) for x, stage in sweep.x_to_stage.items()})
        for sweep in experiment.report.sweep
    ]
    notes = [*selection, *make_notes(experiment, rows, quick)]
    runs = [run for stage in experiment.stages for run in results[stage]]
    environment, environment_notes = _common_environment(runs)
    return Report(
        experiment=experiment,
        command=command,
        quick=quick,
        seeds=_seeds(experiment, runs),
        environment=environment,
        seconds=sum(run.result.train_seconds for run in runs),
        rows=rows,
        notes=notes + environment_notes,
        paired_tests=make_paired_tests(experiment, results),
        rank_tests=rank_tests,
        tables=tables,
        sweeps=sweeps,
        runs=runs,
        figures=make_figures(experiment, results, rows, tables, sweeps, rank_tests),
        cards=cards,
    )


def _seeds(experiment: Experiment, runs: Sequence[StageResult]) -> list[int]:
    """Return the seeds of the runs; the seed of shared stages, which stands for all, only if there are no others."""
    own = {run.seed for run in runs if not experiment.stages[run.stage].shared}
    return sorted(own or {run.seed for run in runs})


def write_report(report: Report, folder: Path) -> None:
    """Write all files of a report, each atomically; delete figures that only an earlier report in the folder shows."""
    files = {figure.file: figure.png for figure in report.figures}
    path = folder / "report.md"
    earlier = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    outdated = set(re.findall(r"^!\[.*\]\((figures/[^/()]+\.png)\)$", earlier, re.M)) - files.keys()
    files["report.md"] = render_markdown(report).encode()
    files["report.html"] = render_html(report).encode()
    for name, content in files.items():
        with atomic_write(folder / name, "wb") as file:
            file.write(content)
    write_json(folder / "report.json", report.as_json())
    for name in outdated:
        (folder / name).unlink(missing_ok=True)


def _common_environment(runs: Sequence[StageResult]) -> tuple[Environment, list[str]]:
    """Return the environment of the runs; for different environments, the last one and a note.

    The key ``precision`` contains the precisions of all trainings, ``older_code`` the runs of another version of this
    package.
    """
    environments = [run.environment for run in runs if run.environment is not None]
    distinct = [env for index, env in enumerate(environments) if env not in environments[:index]]
    older = ", ".join(f"{run.stage} seed {run.seed}" for run in runs if run.older_code)
    precisions = ", ".join(sorted({run.result.precision for run in runs if run.result.precision is not None}))
    common = {key: text for key, text in (("precision", precisions), ("older_code", older)) if text}
    environment = {**(distinct[-1] if distinct else {}), **common}
    if len(distinct) < 2:
        return environment, []
    first, *others = distinct
    changed = sorted({key for env in others for key in env if env[key] != first.get(key)})
    return environment, [f"The runs come from different environments ({', '.join(changed)}); the last is shown."]


def selection_notes(missing: Sequence[str], earlier: Sequence[str], omitted: int) -> list[str]:
    """Return the notes on runs and stages that are missing in a report, or were not run by its command.

    Args:
        missing: runs without a result.
        earlier: stages of earlier commands.
        omitted: number of stages that were not selected and have no result.
    """
    notes = []
    if missing:
        notes.append(f"Incomplete report: {len(missing)} runs failed or were skipped ({', '.join(missing)}).")
    if earlier:
        notes.append(f"Results of earlier commands: {', '.join(earlier)}.")
    if omitted:
        notes.append(f"Partial report; stages omitted by --stages: {omitted}.")
    return notes
