"""Arguments of ``ganmc compress`` for images, validated before PyTorch is imported."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import check_checkpoint_exists
from ganmc_lightning.io.export_formats import EXPORT_PACKAGES, check_export_formats, split_names
from ganmc_lightning.io.network_reference import is_reference, parse_reference

EPOCHS, BATCH_SIZE, SMALLER = 100, 128, 10.0
"""Copies of the defaults in ``ganmc_lightning.compression``, whose import takes seconds; a test compares them."""
DEFAULT_FORMATS = ("onnx", "safetensors")
LOSSES = ("kd", "standardized", "dkd", "l2")
HUB = "hf:"
"""Prefix of data sets of Hugging Face."""


def add_image_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options for images."""
    add = group.add_argument
    add("--student", metavar="NETWORK", help="timm:NAME, torchvision:NAME or MODULE:FACTORY (default: see --smaller)")
    add(
        "--smaller",
        type=float,
        metavar="N",
        help=f"train the largest student with at most 1/N of the teacher's parameters (default: {SMALLER:g})",
    )
    add(
        "--epochs",
        type=int,
        metavar="N",
        help=f"passes over the training images for each network (default: {EPOCHS}, or fewer with --time)",
    )
    add("--loss", choices=LOSSES, help=f"distillation loss (default: {LOSSES[0]})")
    add("--batch-size", type=int, metavar="N", help=f"number of images in a step (default: {BATCH_SIZE})")
    add(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="side to resize the images to (default: that of the files, or the teacher's if they have several sizes)",
    )
    add("--gray", action="store_true", help="read image files as gray, for a teacher of gray images")
    add("--no-flip", action="store_true", help="disable horizontal flips, as for digits and letters")
    add("--baseline", action="store_true", help="also train the student on the labels only, to compare with")
    add(
        "--synthetic",
        type=Path,
        metavar="PATH",
        help="also try generated images that the teacher recognizes: class folders or .npz",
    )
    add("--unlabeled", type=Path, metavar="PATH", help="also try images without labels: a folder or .npz")
    add(
        "--format",
        type=split_names,
        metavar="A,B",
        help=f"exports of the student: {', '.join(EXPORT_PACKAGES)} (default: {','.join(DEFAULT_FORMATS)})",
    )
    add("--teacher-args", type=_parse_mapping, metavar="JSON", help="keyword arguments of the teacher's factory")
    add("--student-args", type=_parse_mapping, metavar="JSON", help="keyword arguments of the student's factory")
    add("--teacher-mean", type=_parse_floats, metavar="R,G,B", help="mean of the teacher's inputs in [0, 1]")
    add("--teacher-std", type=_parse_floats, metavar="R,G,B", help="standard deviation of the teacher's inputs")
    add("--teacher-size", type=int, metavar="PIXELS", help="side of the teacher's inputs, to which images are resized")
    add("--teacher-probabilities", action="store_true", help="the teacher returns probabilities instead of logits")
    add(
        "--teacher-classes",
        type=split_names,
        metavar="A,B",
        help="class names in the order of the teacher's outputs; names with commas in quotes: '\"A, wild\",B'",
    )


def validate_image_arguments(arguments: argparse.Namespace) -> None:
    """Validate the arguments for images, and set their defaults.

    Raises:
        ConfigurationError: a value is out of range, or a file is missing.
    """
    _check_data(arguments.inputs[0])
    if arguments.teacher is None:
        raise ConfigurationError("--teacher: missing, expected the trained network, e.g. timm:resnet18:weights.pth")
    _check_teacher(arguments.teacher)
    if arguments.student is not None:
        _check_student(arguments.student)
        if arguments.smaller is not None:
            raise ConfigurationError("--smaller: got a value with --student, expected one of the two options")
    elif arguments.student_args is not None:
        raise ConfigurationError("--student-args: got arguments without --student, expected both")
    for name in ("smaller", "epochs", "batch_size", "image_size", "teacher_size"):
        value = getattr(arguments, name)
        if value is not None and not 1 <= value < math.inf:
            raise ConfigurationError(f"--{name.replace('_', '-')}: got {value:g}, expected at least 1")
    for name in ("synthetic", "unlabeled"):
        path = getattr(arguments, name)
        if path is not None and not path.exists():
            raise ConfigurationError(f"--{name}: {path}: not found, expected a folder of images or a .npz file")
    if (arguments.teacher_mean is None) != (arguments.teacher_std is None):
        raise ConfigurationError("--teacher-mean, --teacher-std: got one of the options, expected both or neither")
    if isinstance(arguments.gan, str):
        check_checkpoint_exists(arguments.gan)
    _set_defaults(arguments)


def _check_data(text: str) -> None:
    """Check that a path exists; names of data sets have no suffix and no separator."""
    places = (text, text.rsplit(":", 2)[0])  # TABLE:IMAGE_COLUMN:LABEL_COLUMN
    if text.startswith(HUB) or text.isidentifier() or any(Path(place).expanduser().exists() for place in places):
        return
    raise ConfigurationError(f"{text}: not found, expected a folder of images, a .npz file, a table or {HUB}NAME")


def _check_teacher(text: str) -> None:
    """Check the form of a reference, and that its weights exist; other texts are paths of checkpoints."""
    if not is_reference(text):
        check_checkpoint_exists(text)
        return
    weights = parse_reference(text).weights
    if weights is not None and not Path(weights).is_file():
        raise ConfigurationError(f"--teacher: {weights}: file of the weights not found")


def _check_student(text: str) -> None:
    try:
        weights = parse_reference(text).weights
    except ConfigurationError as error:
        raise ConfigurationError(f"--student: {error}") from error
    if weights is not None:
        raise ConfigurationError(f"--student: got weights in {text!r}, expected a network without weights")


def _set_defaults(arguments: argparse.Namespace) -> None:
    defaults = {"smaller": SMALLER, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "loss": LOSSES[0]}
    for name, value in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    formats = DEFAULT_FORMATS if arguments.format is None else arguments.format
    arguments.format = check_export_formats(formats, "--format")


def _parse_floats(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected numbers such as 0.485,0.456,0.406") from None


def _parse_mapping(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a JSON object such as '{{\"width\": 16}}'")
    return value
