"""``ganmc reproduce``: run the stages of an experiment and write its report."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from ganmc_lightning.cli.imports import import_words
from ganmc_lightning.cli.seed import check_seed
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.yaml_text import load_yaml


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 if the report is complete, 130 after Ctrl-C, 143 after SIGTERM, 1 for a partial report (``--keep-going``),
        else the exit code of the stage that failed.

    Raises:
        ConfigurationError: an argument or the experiment file is invalid.
    """
    # imported here, so that --help and other commands do not import matplotlib
    if args.list:
        _print_list()
        return 0

    from ganmc_lightning.experiments.discovery import find_experiment

    file = find_experiment(args.experiment)
    seeds = None if args.seeds is None else _seeds(args.seeds)
    if sys.stderr.isatty():
        print(f"ganmc: loading {file} ...", file=sys.stderr, flush=True)

    from rich.console import Console

    from ganmc_lightning.experiments.reproduce import reproduce

    return reproduce(
        file,
        args.out,
        command=args.command,
        run_command=partial(_run_stage, import_words(args.imports)),
        console=Console(),
        seeds=seeds,
        stages=None if args.stages is None else [name.strip() for name in args.stages.split(",")],
        quick=args.quick,
        jobs=args.jobs,
        on=args.on,
        resources=_resources(args.resources),
        keep_going=args.keep_going,
        accept_older_code=args.accept_older_code,
        wandb_project=args.wandb,
    )


def _print_list() -> None:
    from ganmc_lightning.experiments.listing import ABSENT, format_list, list_experiments

    listed = list_experiments()
    width = os.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in format_list(listed):
        print(line if width is None or len(line) <= width else f"{line[: width - 4].rstrip()} ...")
    if any(line.data == ABSENT for line in listed):
        print("\nabsent: not in $GANMC_DATA or ./data; built-in data sets are downloaded there when a stage needs them")


def _run_stage(imports: list[str], arguments: list[str]) -> int:
    """Run the command line of a stage with the ``--import`` options of this command."""
    from ganmc_lightning.cli import main

    return main([*arguments, *imports])


def _seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise ConfigurationError(f"--seeds: got {text!r}, expected distinct integers such as 0,1,2")
    seeds = tuple(map(int, parts))
    for seed in seeds:
        check_seed(seed, "--seeds")
    return seeds


def _resources(words: list[str]) -> dict[str, object]:
    pairs = [word.partition("=") for word in words]
    for word, (key, _, value) in zip(words, pairs, strict=True):
        if not key or not value:
            raise ConfigurationError(f"--resources: got {word!r}, expected KEY=VALUE")
    return {key: load_yaml(value) for key, _, value in pairs}
