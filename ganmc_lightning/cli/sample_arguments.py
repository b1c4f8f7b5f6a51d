"""Arguments of ``ganmc sample``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganmc_lightning.cli.seed import check_seed
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.io.checkpoint_path import check_checkpoint_exists


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="checkpoint of a GAN; CHECKPOINT:SUBMODULE if the generator is not named generator or student",
    )
    parser.add_argument("--num-samples", type=int, default=100, metavar="N", help="number of samples (default: 100)")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="FILE.npz for arrays, FILE.csv for rows of a table, FILE.png for an image grid, else a new folder of "
        "images",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--seed", type=int, default=0, help="random seed for the latents (default: 0)")


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate the number of samples and the paths.

    Raises:
        ConfigurationError: a number or path is invalid.
    """
    check_seed(arguments.seed)
    if arguments.num_samples < 1:
        raise ConfigurationError(f"--num-samples: got {arguments.num_samples}, expected at least 1")
    if arguments.out.is_dir():
        raise ConfigurationError(f"--out: the folder {arguments.out} already exists, expected a new folder or a file")
    if arguments.out.exists() and not arguments.overwrite:
        raise ConfigurationError(f"--out: {arguments.out} already exists, expected a new file or --overwrite")
    check_checkpoint_exists(arguments.checkpoint)
    check_writable(arguments.out.parent, "--out")
