"""Arguments of ``ganmc evaluate``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ganmc_lightning.cli.seed import check_seed
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.io.checkpoint_path import check_checkpoint_exists
from ganmc_lightning.io.network_reference import is_reference

MINIMA = {"num_samples": 2, "num_students": 1, "student_batch_size": 1}
METRICS = ("inception_score", "fid", "kid", "prdc", "near_duplicates", "laplacian_variance", "compression_score")
SPLITS = ("train", "val", "test")
"""Copies of the constants in ``ganmc_lightning.evaluation``, which imports PyTorch; a test compares them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add(
        "samples",
        nargs="+",
        metavar="SAMPLES",
        help="checkpoint of a (compressed) GAN, CHECKPOINT:SUBMODULE if the generator is not named generator or "
        "student; .npz file; folder of images; real:train, real:val or real:test; NAME=SAMPLES sets the column name",
    )
    add(
        "--data",
        required=True,
        help="real data: a built-in data set, e.g. digits, an .npz file, an image folder, or the .yaml config of a run",
    )
    add(
        "--metrics",
        type=_split_names,
        metavar="A,B",
        help=f"comma-separated metrics from {','.join(METRICS)} (default: all that can be computed)",
    )
    add(
        "--extractor",
        help="feature extractor: inception, inception:WEIGHTS.pth, classifier:CHECKPOINT, classifier:CHECKPOINT:LAYER, "
        "or a classifier of another library, such as classifier:timm:resnet18 (default: inception for images)",
    )
    add(
        "--extractor-size",
        type=int,
        metavar="N",
        help="pixels to which images are resized for the extractor",
    )
    add("--num-samples", type=int, default=10_000, metavar="N", help="number of samples per set (default: 10000)")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add("--real-split", default="test", choices=SPLITS, help="split of the real data to compare with (default: test)")
    add(
        "--sharpness-reference",
        metavar="SAMPLES",
        help="reference of the sharpness ratio (default: real data)",
    )
    add("--out", type=Path, metavar="FOLDER", help="write metrics and settings to FOLDER/result.json")
    add("--nearest-plot", type=Path, metavar="FILE.png", help="plot samples next to their nearest training samples")
    _add_compression_score_arguments(parser.add_argument_group("Compression Score"))


def _add_compression_score_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--teacher",
        metavar="NETWORK",
        help="classifier for the Compression Score: checkpoint, "
        ".safetensors file of ganmc export, or e.g. timm:resnet18",
    )
    add("--student", metavar="CLASS|YAML", help="student of the Compression Score: network class or .yaml config")
    add("--num-students", type=int, default=3, metavar="N", help="students per set and variant (default: 3)")
    add(
        "--student-batch-size",
        type=int,
        default=128,
        metavar="N",
        help="batch size for training the students (default: 128; use a smaller size for small data sets)",
    )
    add(
        "--student-learning-rate",
        type=float,
        default=1e-3,
        metavar="LR",
        help="learning rate of the students' Adam optimizer (default: 0.001)",
    )


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate numbers, combinations and paths.

    Raises:
        ConfigurationError: an argument is invalid.
    """
    check_seed(arguments.seed)
    for name, minimum in MINIMA.items():
        if getattr(arguments, name) < minimum:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{flag}: got {getattr(arguments, name)}, expected at least {minimum}")
    if not 0 < arguments.student_learning_rate < math.inf:
        raise ConfigurationError(
            f"--student-learning-rate: got {arguments.student_learning_rate}, expected a positive, finite number"
        )
    if (arguments.teacher is None) != (arguments.student is None):
        raise ConfigurationError("--teacher, --student: got only one, expected both or neither")
    if arguments.nearest_plot and all(text.rpartition("=")[2] == "real:train" for text in arguments.samples):
        raise ConfigurationError("--nearest-plot: got only real:train, expected samples to compare with it")
    if arguments.teacher is not None and not is_reference(arguments.teacher):
        check_checkpoint_exists(arguments.teacher)
    for option, path in (("--out", arguments.out), ("--nearest-plot", arguments.nearest_plot)):
        if path is not None:
            folder, file = (path, path / "result.json") if option == "--out" else (path.parent, path)
            if file.is_dir():
                raise ConfigurationError(f"{option}: {file} is a folder, expected a file")
            check_writable(folder, option)


def _split_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]
