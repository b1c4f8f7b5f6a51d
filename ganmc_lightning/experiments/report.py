"""From results to the report: ``report.json``, ``report.md``, ``report.html`` and ``figures/*.png``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ganmc_lightning.experiments.document import Picture, Report
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.figures import Curve, Reference, curves_figure, sweep_figure
from ganmc_lightning.experiments.files import write_bytes, write_json, write_text
from ganmc_lightning.experiments.gather import Results, latest_sample_grid, read_curves
from ganmc_lightning.experiments.html import render_html
from ganmc_lightning.experiments.markdown import render_markdown
from ganmc_lightning.experiments.spec import Curves, Experiment, Sweep
from ganmc_lightning.experiments.statistics import Estimate, estimate
from ganmc_lightning.experiments.table import ReportRow, make_notes, make_rows, split_of, values_of


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
        InputError: a run lacks the experiment's metric.
    """
    rows = make_rows(experiment, results)
    sweeps = [(sweep, _sweep_points(experiment, results, sweep)) for sweep in experiment.sweeps]
    runs = [run for stage in experiment.stages for run in results[stage]]
    environment, mixed = _one_environment(environments)
    notes = make_notes(experiment, rows, quick) + mixed
    return Report(
        experiment=experiment,
        command=command,
        quick=quick,
        seeds=[run.seed for run in next(iter(results.values()))],
        environment=environment,
        seconds=sum(run.seconds for run in runs),
        rows=rows,
        notes=notes,
        sweeps=sweeps,
        runs=runs,
        pictures=_pictures(experiment, results, rows, sweeps),
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


def _pictures(
    experiment: Experiment,
    results: Results,
    rows: Sequence[ReportRow],
    sweeps: Sequence[tuple[Sweep, Mapping[float, Estimate]]],
) -> list[Picture]:
    # A stage that stands in the table goes by the name it has there.
    labels = {row.stage: row.row.name for row in reversed(rows)}
    metric = experiment.metric.replace("_", " ")
    pictures = []
    for number, curves in enumerate(experiment.curves, 1):
        for column in (experiment.metric, curves.loss):
            lines = _curve_lines(curves, results, f"val/{column}", labels)
            if lines:
                name = column.replace("_", " ")
                png = curves_figure(lines, f"validation {name}")
                file = f"figures/curves_{number}_{column}.png"
                pictures.append(Picture(file, f"{curves.title}: {name}", png))
    for number, (sweep, points) in enumerate(sweeps, 1):
        dashed = [
            Reference(labels.get(stage, stage), estimate(values_of(experiment, results, stage)).mean)
            for stage in sweep.references
        ]
        y_label = f"{split_of(experiment, next(iter(sweep.points.values())))} {metric}"
        png = sweep_figure(list(points.items()), dashed, sweep.x_label, y_label)
        pictures.append(Picture(f"figures/sweep_{number}.png", sweep.title, png))
    for stage in experiment.grids:
        run = results[stage][0]
        grid = latest_sample_grid(run.folder)
        if grid is not None:
            title = f"{stage}, seed {run.seed}: {grid.stem.replace('_', ' ')}"
            pictures.append(Picture(f"figures/samples_{stage}.png", title, grid.read_bytes()))
    return pictures


def _curve_lines(curves: Curves, results: Results, column: str, labels: Mapping[str, str]) -> list[Curve]:
    lines = []
    for stage in curves.stages:
        seeds = [read_curves(run.folder / "metrics.csv").get(column, {}) for run in results[stage]]
        if any(seeds):
            lines.append(Curve(labels.get(stage, stage), seeds))
    return lines
