"""W&B logging of an experiment: one W&B run per stage and seed, and one for the report."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.experiments.report import Report

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
        run.log({figure.title: wandb.Image(str(folder / figure.file)) for figure in report.figures})
        files = wandb.Artifact(f"{report.experiment.name}-report", type="report")
        for name in (*REPORT_FILES, *(figure.file for figure in report.figures)):
            files.add_file(str(folder / name), name=str(name))
        run.log_artifact(files)
