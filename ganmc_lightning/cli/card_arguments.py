"""Arguments of ``ganmc card``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run that trained a classifier, with or without a teacher")
    add(
        "--teacher",
        metavar="NETWORK",
        help="run folder, checkpoint, or reference such as timm:resnet18:weights.safetensors (default: the teacher in "
        "the run's config.yaml)",
    )
    add(
        "--baseline",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="folder of a run that the student should beat, such as the student trained on labels; repeatable",
    )
    add("--out", type=Path, metavar="FOLDER", help="folder for card.html and card.json (default: RUN)")


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate run folders and the output folder.

    Raises:
        ConfigurationError: a run folder has no config or no checkpoint, a run occurs twice, or the output folder cannot
            be written.
    """
    check_run(arguments.run, "RUN")
    runs = [arguments.run]
    for path in arguments.baseline:
        check_run(path, "--baseline")
        if path.resolve() in {run.resolve() for run in runs}:
            raise ConfigurationError(f"--baseline: got {path} twice, expected different runs")
        runs.append(path)
    arguments.out = arguments.out or arguments.run
    check_writable(arguments.out, "--out")


def check_run(path: Path, option: str) -> None:
    """Raise :class:`~ganmc_lightning.exceptions.ConfigurationError` unless a folder is that of a trained run."""
    folder = RunFolder(path)
    for file in (folder.config, folder.best_checkpoint):
        if not file.is_file():
            raise ConfigurationError(f"{option}: {file} not found, expected the folder of a run of ganmc fit")
