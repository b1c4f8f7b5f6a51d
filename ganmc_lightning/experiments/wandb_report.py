"""W&B logging of an experiment: one W&B run per stage and seed, and one for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ganmc_lightning.experiments.report import Report, ReportFigure

REPORT_FILES = ("report.html", "report.json", "report.md")


def log_report(report: Report, folder: Path, project: str) -> None:
    """Log the main table, the figures and the files of a report to W&B, as a separate run.

    The files are an artifact ``<experiment>-report`` of type ``report``.

    Args:
        report: the report.
        folder: folder of the report.
        project: name of the W&B project.
    """
    import wandb

    columns: list[str | int] = ["name", "split", "mean", "ci95", "n", "paper", "steps", "parameters", "flops"]
    rows = [
        [
            *(row.label, row.split, row.mean.mean, row.mean.ci95, row.mean.n, row.spec.paper),
            *(row.steps, row.parameters, row.flops),
        ]
        for row in report.rows
    ]
    with wandb.init(
        project=project,
        group=report.experiment.name,
        name=f"{report.experiment.name}-report",
        job_type="report",
        config={"command": report.command, "seeds": report.seeds, "environment": dict(report.environment)},
        dir=folder,
    ) as run:
        run.log({"table": wandb.Table(columns=columns, data=rows)})
        files_by_title = unique_titles(report.figures)
        run.log({title: wandb.Image(str(folder / file)) for title, file in files_by_title.items()})
        files = wandb.Artifact(f"{report.experiment.name}-report", type="report")
        for name in (*REPORT_FILES, *(figure.file for figure in report.figures)):
            files.add_file(str(folder / name), name=str(name))
        run.log_artifact(files)


def unique_titles(figures: Sequence[ReportFigure]) -> dict[str, str]:
    """Return title -> file of each figure; a title of several figures is followed by the name of the file.

    Example:
        >>> unique_titles([ReportFigure(f"figures/sweep_{i}.png", "Sweep", b"") for i in (1, 2)])
        {'Sweep (sweep_1)': 'figures/sweep_1.png', 'Sweep (sweep_2)': 'figures/sweep_2.png'}
    """
    counts = Counter(figure.title for figure in figures)
    return {
        figure.title if counts[figure.title] == 1 else f"{figure.title} ({Path(figure.file).stem})": figure.file
        for figure in figures
    }
