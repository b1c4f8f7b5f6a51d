"""Arguments of ``ganmc export``, parsed and validated before PyTorch is imported."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.export_formats import EXPORT_PACKAGES, check_export_formats, split_names
from ganmc_lightning.io.network_reference import is_reference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("network", metavar="RUN_OR_CHECKPOINT", help="run folder (its best.ckpt), checkpoint, or file of a network")
    add("--out", type=Path, required=True, metavar="FOLDER", help="folder of the exported files")
    add("--format", default="onnx", metavar="NAMES", help=f"some of {','.join(EXPORT_PACKAGES)} (default: onnx)")
    add(
        "--uint8",
        action="store_true",
        help="uint8 images in (classifier) or out (generator) instead of float in [-1, 1]",
    )
    add("--probabilities", action="store_true", help="softmax of the logits inside the exported classifier")
    add(
        "--calibration",
        metavar="DATA",
        help="for int8: folder, .npz, table or name of training images (default: training samples of RUN)",
    )
    add(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="X",
        help="largest difference from PyTorch's outputs, above which a file is not written (default: 1e-4)",
    )
    add("--submodule", metavar="NAME", help="network of the checkpoint (default: student, network or generator)")


def validate_arguments(arguments: argparse.Namespace) -> None:
    """Validate the formats and the paths, and replace a run folder by its best checkpoint.

    Sets ``formats``, the names of the formats, and ``run``, the run folder or None.

    Raises:
        ConfigurationError: a format is unknown, a package is missing, or a path does not exist.
    """
    arguments.formats = check_export_formats(split_names(arguments.format), "--format")
    if not arguments.tolerance > 0:
        raise ConfigurationError(f"--tolerance: got {arguments.tolerance}, expected a positive number")
    if arguments.calibration is not None and "int8" not in arguments.formats:
        raise ConfigurationError(f"--calibration: got --format {arguments.format}, expected int8 among the formats")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise ConfigurationError(f"--out: {arguments.out} is a file, expected a folder")
    path = Path(arguments.network)
    arguments.run = path if path.is_dir() else None
    if arguments.run is not None:
        path = path / "checkpoints" / "best.ckpt"  # RunFolder.best_checkpoint, whose module imports pydantic
        arguments.network = str(path)
    if not path.is_file() and not is_reference(arguments.network):
        raise ConfigurationError(f"{path}: checkpoint not found, expected a run folder or a file of a network")
