"""``ganmc reproduce``: run the stages of an experiment and write its report."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from ganmc_lightning.cli.imports import import_words
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.yaml_text import load_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "experiment", nargs="?", metavar="NAME-or-FILE", help="a built-in experiment (see --list), or a YAML file"
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="output folder (default: runs)")
    parser.add_argument("--seeds", metavar="0,1,2", help="seeds that replace those of the file")
    parser.add_argument("--quick", action="store_true", help="apply the file's `quick` overrides, as a smoke test")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="run up to N stages in parallel, also on one GPU (default: 1; with --on: all that are ready)",
    )
    parser.add_argument(
        "--on", metavar="CLUSTER", help="run the stages on a cluster: ray, ray://HOST:PORT or slurm (default: here)"
    )
    parser.add_argument(
        "--resources",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="with --on ray: options of each task, such as num_gpus=0.5 num_cpus=4; with --on slurm: parameters of "
        "submitit, such as slurm_partition=gpu gpus_per_node=1 timeout_min=120",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="after a failure, skip dependent stages, run all others and write a partial report (exit code 1); "
        "default: start no further stage",
    )
    parser.add_argument(
        "--accept-older-code",
        action="store_true",
        help="reuse results of another version of the package source; the report lists them",
    )
    parser.add_argument(
        "--wandb", metavar="PROJECT", help="also log runs and report to W&B (local only with WANDB_MODE=offline)"
    )
    parser.add_argument("--list", action="store_true", help="list the built-in experiments")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 if the report is complete, 130 after Ctrl-C, 143 after SIGTERM, 1 for a partial report (``--keep-going``),
        else the exit code of the stage that failed.

    Raises:
        ConfigurationError: an argument or the experiment file is invalid.
    """
    # imported here, so that --help and other commands do not import matplotlib
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
        raise ConfigurationError(
            "NAME-or-FILE: missing, expected an experiment; `ganmc reproduce --list` lists the built-in ones"
        )
    if args.jobs is not None and args.jobs < 1:
        raise ConfigurationError(f"--jobs: got {args.jobs}, expected at least 1")
    file = find_experiment(args.experiment)
    seeds = None if args.seeds is None else _seeds(args.seeds)

    from ganmc_lightning.experiments.reproduce import reproduce

    return reproduce(
        file,
        args.out,
        command=args.command,
        run_command=partial(_run_stage, import_words(args.imports)),
        console=console,
        seeds=seeds,
        quick=args.quick,
        jobs=args.jobs,
        on=args.on,
        resources=_resources(args.resources),
        keep_going=args.keep_going,
        accept_older_code=args.accept_older_code,
        wandb_project=args.wandb,
    )


def _run_stage(imports: list[str], arguments: list[str]) -> int:
    """Run the command line of a stage with the ``--import`` options of this command."""
    from ganmc_lightning.cli import main

    return main([*arguments, *imports])


def _seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise ConfigurationError(f"--seeds: got {text!r}, expected distinct integers such as 0,1,2")
    return tuple(map(int, parts))


def _resources(words: list[str]) -> dict[str, object]:
    pairs = [word.partition("=") for word in words]
    for word, (key, _, value) in zip(words, pairs, strict=True):
        if not key or not value:
            raise ConfigurationError(f"--resources: got {word!r}, expected KEY=VALUE")
    return {key: load_yaml(value) for key, _, value in pairs}
