"""Arguments of ``ganmc reproduce``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "experiment", nargs="?", metavar="NAME-or-FILE", help="a built-in experiment (see --list), or a YAML file"
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="output folder (default: runs)")
    parser.add_argument("--seeds", metavar="0,1,2", help="seeds that replace those of the file")
    parser.add_argument(
        "--stages",
        metavar="NAME,NAME",
        help="run only these stages and those that they need; the report also contains other finished stages",
    )
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


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate that an experiment is named, and the number of jobs.

    Raises:
        ConfigurationError: the experiment is missing, or ``--jobs`` is less than 1.
    """
    if arguments.experiment is None and not arguments.list:
        raise ConfigurationError(
            "NAME-or-FILE: missing, expected an experiment; `ganmc reproduce --list` lists the built-in ones"
        )
    if arguments.jobs is not None and arguments.jobs < 1:
        raise ConfigurationError(f"--jobs: got {arguments.jobs}, expected at least 1")
