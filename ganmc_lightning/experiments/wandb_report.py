"""An experiment on a W&B dashboard: one run a stage and seed, and one that holds the report."""

from __future__ import annotations

import json
from pathlib import Path

from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.report import Report


def logger_argument(run: PlannedRun, experiment: Experiment, project: str) -> str:
    """The argument that sends a stage's curves, configuration and sample grids to W&B.

    ``WANDB_MODE=offline`` keeps them on disk, in the stage's folder, for ``wandb sync``.
    """
    logger = {
        "class_path": "lightning.pytorch.loggers.WandbLogger",
        "init_args": {
            "project": project,
            "group": experiment.name,
            "name": f"{run.stage}-seed{run.seed}",
            "save_dir": str(run.folder),
        },
    }
    return f"--trainer.logger={json.dumps(logger)}"


def log_report(report: Report, folder: Path, project: str) -> None:
    """Send the table and the figures of a finished report to W&B, as a run of their own.

    Args:
        report: the report.
        folder: where its files lie.
        project: the W&B project.
    """
    import wandb

    columns: list[str | int] = ["name", "split", "mean", "ci95", "n", "paper", "steps", "parameters", "flops"]
    rows = [
        [
            *(row.label, row.split, row.mean.mean, row.mean.ci95, row.mean.n, row.row.paper),
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
        run.log({picture.title: wandb.Image(str(folder / picture.file)) for picture in report.pictures})
