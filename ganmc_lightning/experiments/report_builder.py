"""From results to the report: ``report.json``, ``report.md``, ``report.html`` and ``figures/*.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganmc_lightning.experiments.config import Experiment, Sweep
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.figures import make_figures
from ganmc_lightning.experiments.html import render_html
from ganmc_lightning.experiments.markdown import render_markdown
from ganmc_lightning.experiments.metric_table import make_tables
from ganmc_lightning.experiments.report import Report
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import Estimate, estimate
from ganmc_lightning.experiments.table import make_notes, make_rows, values_of
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.structured import write_json


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
    sweeps = [(sweep, _sweep_points(experiment, results, sweep)) for sweep in experiment.report.sweep]
    runs = [run for stage in experiment.stages for run in results[stage]]
    environment, mixed = _one_environment(environments)
    notes = make_notes(experiment, rows, quick) + mixed
    return Report(
        experiment=experiment,
        command=command,
        quick=quick,
        seeds=sorted({run.seed for runs in results.values() for run in runs}),
        environment=environment,
        seconds=sum(run.result.train_seconds for run in runs),
        rows=rows,
        notes=notes,
        tables=tables,
        sweeps=sweeps,
        runs=runs,
        pictures=make_figures(experiment, results, rows, tables, sweeps),
    )


def write_report(report: Report, folder: Path) -> None:
    """Write the four kinds of file, each atomically."""
    files = {picture.file: picture.png for picture in report.pictures}
    files["report.md"] = render_markdown(report).encode()
    files["report.html"] = render_html(report).encode()
    for name, content in files.items():
        with atomic_write(folder / name, "wb") as file:
            file.write(content)
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
