"""From results to the report: ``report.json``, ``report.md``, ``report.html`` and ``figures/*.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.figures import make_figures
from ganmc_lightning.experiments.files import write_bytes, write_json, write_text
from ganmc_lightning.experiments.gather import Results
from ganmc_lightning.experiments.html import render_html
from ganmc_lightning.experiments.markdown import render_markdown
from ganmc_lightning.experiments.metric_table import make_tables
from ganmc_lightning.experiments.report import Report
from ganmc_lightning.experiments.spec import Experiment, Sweep
from ganmc_lightning.experiments.statistics import Estimate, estimate
from ganmc_lightning.experiments.table import make_notes, make_rows, values_of


def make_report(
    experiment: Experiment,
    results: Results,
    environments: Sequence[Environment],
    command: str,
    quick: bool,
) -> Report:
    """Compute the whole report.

    Args:
        experiment: what was asked for.
        results: stage -> finished runs, one per seed, in the order of the seeds.
        environments: where each run was made.
        command: the command line that makes this report.
        quick: whether the settings were reduced.

    Raises:
        ConfigurationError: a run lacks the experiment's metric.
    """
    rows = make_rows(experiment, results)
    tables = make_tables(experiment, results)
    sweeps = [(sweep, _sweep_points(experiment, results, sweep)) for sweep in experiment.sweeps]
    runs = [run for stage in experiment.stages for run in results[stage]]
    environment, mixed = _one_environment(environments)
    notes = make_notes(experiment, rows, quick) + mixed
    return Report(
        experiment=experiment,
        command=command,
        quick=quick,
        seeds=sorted({run.seed for runs in results.values() for run in runs}),
        environment=environment,
        seconds=sum(run.seconds for run in runs),
        rows=rows,
        notes=notes,
        tables=tables,
        sweeps=sweeps,
        runs=runs,
        pictures=make_figures(experiment, results, rows, tables, sweeps),
    )


def write_report(report: Report, folder: Path) -> None:
    """Write the four kinds of file, each atomically."""
    for picture in report.pictures:
        write_bytes(folder / picture.file, picture.png)
    write_text(folder / "report.md", render_markdown(report))
    write_text(folder / "report.html", render_html(report))
    write_json(folder / "report.json", report.as_json())


def _one_environment(environments: Sequence[Environment]) -> tuple[Environment, list[str]]:
    """Return where the runs were made, and a remark if that is more than one place."""
    different = [env for index, env in enumerate(environments) if env not in environments[:index]]
    if not different:
        return {}, []
    if len(different) == 1:
        return different[0], []
    changed = sorted({key for env in different[1:] for key in env if env[key] != different[0].get(key)})
    differ = ", ".join(changed)
    return different[-1], [f"The runs come from different environments ({differ}); the last is shown."]


def _sweep_points(experiment: Experiment, results: Results, sweep: Sweep) -> dict[float, Estimate]:
    return {x: estimate(values_of(experiment, results, stage)) for x, stage in sweep.points.items()}
