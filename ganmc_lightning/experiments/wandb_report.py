"""W&B logging of an experiment: one W&B run per stage and seed, and one for the report."""

from __future__ import annotations

import json
from pathlib import Path

from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.report import Report


def logger_argument(run: PlannedRun, experiment: Experiment, project: str) -> str:
    """Return the argument of ``ganmc fit`` that logs metrics, configuration and sample grids of a run to W&B.

    With ``WANDB_MODE=offline`` they are written to the run folder, for ``wandb sync``.
    """
    logger = {
        "class_path": "lightning.pytorch.loggers.WandbLogger",
        "init_args": {
            "project": project,
            "group": experiment.name,
            "name": f"{run.stage}-seed{run.seed}",
            "save_dir": str(run.folder.path),
        },
    }
    return f"--trainer.logger={json.dumps(logger)}"


def log_report(report: Report, folder: Path, project: str) -> None:
    """Log the main table and the figures of a report to W&B, as a separate run.

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
