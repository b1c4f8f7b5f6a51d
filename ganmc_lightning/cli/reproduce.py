"""``ganmc reproduce``: run an experiment's stages and write its report."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganmc_lightning.cli.imports import import_words
from ganmc_lightning.exceptions import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "experiment",
        nargs="?",
        metavar="NAME-or-FILE",
        help="a built-in experiment (see --list), or a YAML file",
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    parser.add_argument("--seeds", metavar="0,1,2", help="instead of the seeds in the file")
    parser.add_argument("--quick", action="store_true", help="the file's quick settings: does the chain work?")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="run up to N stages at a time, also on one GPU (default: 1)"
    )
    parser.add_argument(
        "--wandb", metavar="PROJECT", help="also send runs and report to W&B (WANDB_MODE=offline keeps them here)"
    )
    parser.add_argument("--list", action="store_true", help="list the built-in experiments")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 when the report is written, 130 after Ctrl-C, 143 after SIGTERM, else the exit code of the stage that failed.

    Raises:
        ConfigurationError: an argument or the experiment file cannot be used.
    """
    # Imported here so that the other commands, and --help, need not wait for matplotlib.
    from rich.console import Console

    from ganmc_lightning.experiments.discovery import find_experiment, list_experiments

    console = Console()
    if args.list:
        listed = list_experiments()
        width = max((len(name) for name, _ in listed), default=0)
        for name, title in listed:
            console.print(f"{name:<{width}}  {title}", markup=False, highlight=False, soft_wrap=True)
        return 0
    if args.experiment is None:
        raise ConfigurationError("name an experiment or its file; `ganmc reproduce --list` lists the built-in ones")
    if args.jobs < 1:
        raise ConfigurationError(f"--jobs: got {args.jobs}, expected a number of at least 1")
    file = find_experiment(args.experiment)
    seeds = None if args.seeds is None else _seeds(args.seeds)

    from ganmc_lightning.cli import main
    from ganmc_lightning.experiments.reproduce import reproduce

    words = import_words(args.imports)
    return reproduce(file, args.out, seeds, args.quick, args.command, main, console, args.wandb, args.jobs, words)


def _seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise ConfigurationError(f"--seeds must be different whole numbers such as 0,1,2, found {text!r}")
    return tuple(map(int, parts))
