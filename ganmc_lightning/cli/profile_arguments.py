"""Arguments of ``ganmc profile``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from ganmc_lightning.cli.seed import check_seed
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.io.checkpoint_path import check_checkpoint_exists


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add(
        "generators",
        nargs="+",
        metavar="NAME=CHECKPOINT",
        help="generators with equal latents, compared with the first; CHECKPOINT:SUBMODULE if the generator is not "
        "named generator or student",
    )
    add("--out", type=Path, required=True, help="folder for result.json and samples/comparison.png")
    add(
        "--metrics-json",
        type=Path,
        metavar="FILE",
        help="result.json of `ganmc evaluate` with equal names; its metrics are added to the result",
    )
    add("--num-samples", type=int, default=10, metavar="N", help="samples per generator in the figure (default: 10)")
    add("--batch-size", type=int, default=64, help="batch size of the throughput measurement (default: 64)")
    add("--benchmark-seconds", type=float, default=1.0, help="seconds of measurement per generator (default: 1)")
    add("--seed", type=int, default=0, help="random seed for the latents (default: 0)")


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate the numbers, and that the checkpoints exist.

    Raises:
        ConfigurationError: a number, a name or a path is invalid.
    """
    check_seed(arguments.seed)
    if min(arguments.num_samples, arguments.batch_size) < 1 or not 0 < arguments.benchmark_seconds < math.inf:
        raise ConfigurationError("--num-samples, --batch-size, --benchmark-seconds: expected positive, finite numbers")
    for checkpoint in parse_generators(arguments.generators).values():
        check_checkpoint_exists(checkpoint)
    check_writable(arguments.out, "--out")


def parse_generators(texts: Sequence[str]) -> dict[str, str]:
    """Return the checkpoints by name.

    Args:
        texts: ``NAME=CHECKPOINT`` or ``NAME=CHECKPOINT:SUBMODULE``.

    Raises:
        ConfigurationError: a text has another form, or a name occurs twice.

    Example:
        >>> parse_generators(["teacher=gan.ckpt", "student=small.ckpt:student"])
        {'teacher': 'gan.ckpt', 'student': 'small.ckpt:student'}
    """
    checkpoints: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ConfigurationError(
                f"generators: got '{text}', expected NAME=CHECKPOINT, e.g. teacher=runs/gan/checkpoints/best.ckpt"
            )
        if name in checkpoints:
            raise ConfigurationError(f"generators: got the name '{name}' twice, expected distinct names")
        checkpoints[name] = path
    return checkpoints
