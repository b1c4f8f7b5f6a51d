"""Write exported files of a network after comparing their outputs with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError, ExportError, one_line
from ganmc_lightning.export.deployment import Deployment, make_deployment
from ganmc_lightning.export.int8_file import calibration_inputs, encode_int8
from ganmc_lightning.export.onnx_file import decode_onnx, encode_onnx
from ganmc_lightning.export.program_file import decode_program, encode_program
from ganmc_lightning.export.timing import Predictor, median_latency
from ganmc_lightning.export.weights_file import decode_weights, encode_weights
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.export_formats import check_export_formats

BATCH_SIZES = (1, 2, 7)
"""Sizes of the random batches that files are compared on."""
LATENCY_BATCH_SIZES = (1, 64)
MIN_AGREEMENT = 0.9
"""Smallest share of calibration samples with an unchanged class, below which an int8 file is not written."""
SEED = 17


class ExportedFile(NamedTuple):
    """An exported file, verified against PyTorch.

    Attributes:
        path: the file.
        format: ``"onnx"``, ``"pt2"``, ``"safetensors"`` or ``"int8"``.
        bytes: size.
        max_difference: largest absolute difference of its outputs from the network's.
        latency: batch size -> seconds per call on one thread, for batches of 1 and 64.
        agreement: share of the calibration samples with the network's class, for ``"int8"``; else None.
    """

    path: Path
    format: str
    bytes: int
    max_difference: float
    latency: dict[int, float]
    agreement: float | None = None


class FileFormat(NamedTuple):
    """Functions of a format.

    Attributes:
        suffix: end of the file name.
        encode: returns the content of a file.
        decode: returns the function that a file contains.
    """

    suffix: str
    encode: Callable[[Deployment], bytes]
    decode: Callable[[bytes, Deployment], Predictor]


FILE_FORMATS = {
    "onnx": FileFormat(".onnx", encode_onnx, decode_onnx),
    "pt2": FileFormat(".pt2", encode_program, decode_program),
    "safetensors": FileFormat(".safetensors", encode_weights, decode_weights),
    "int8": FileFormat(".int8.onnx", encode_int8, decode_onnx),
}


def export_network(
    network: nn.Module,
    folder: Path,
    formats: Sequence[str],
    *,
    spec: DataSpec,
    uint8_inputs: bool = False,
    uint8_outputs: bool = False,
    probabilities: bool = False,
    calibration: Tensor | None = None,
    tolerance: float = 1e-4,
    stem: str = "model",
    recipe: Mapping[str, Any] | None = None,
) -> list[ExportedFile]:
    """Export a classifier or generator in float32, with a dynamic batch size.

    Each file is compared with the network on random batches of 1, 2 and 7 samples before it gets its name; int8 files
    are compared on the calibration samples. ``.safetensors`` contains the weights without the conversions of inputs and
    outputs.

    Args:
        network: a classifier of samples (N, *sample_shape) that returns logits (N, K), or a generator. It is copied.
        folder: folder of the files; it is created if necessary, and existing files are replaced.
        formats: ``"onnx"`` (opset 18), ``"pt2"`` (``torch.export``), ``"safetensors"`` and ``"int8"`` (ONNX with int8
            weights and activations, for classifiers).
        spec: shape and classes of the network's training data.
        uint8_inputs: whether the inputs of a classifier are uint8 images (N, C, H, W) (default: float in [-1, 1]).
        uint8_outputs: whether a generator returns uint8 images (default: float in [-1, 1]).
        probabilities: whether a classifier returns probabilities (default: logits).
        calibration: training samples (M, *sample_shape), uint8 or float; required for ``"int8"``.
        tolerance: largest difference of the outputs, relative to the largest output if that is above 1. uint8 images
            may differ by one level (default: 1e-4).
        stem: file name without suffix (default: ``"model"``).
        recipe: ``class_path`` and ``init_args`` of the network, stored in ``.safetensors``, so that ``load_network``
            builds the network (default: None).

    Returns:
        The files in the order of the formats.

    Raises:
        ConfigurationError: a format is unknown or its package is missing, or the network cannot be exported.
        ExportError: a file cannot be run, or its outputs differ by more than the tolerance; it is not written.

    Example:
        >>> import tempfile
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
        >>> file, = export_network(network, Path(tempfile.mkdtemp()), ["safetensors"], spec=DataSpec((1, 8, 8), 2))
        >>> file.path.name, file.max_difference
        ('model.safetensors', 0.0)
    """
    names = check_export_formats(formats)
    deployment = make_deployment(
        network,
        spec,
        uint8_inputs=uint8_inputs,
        uint8_outputs=uint8_outputs,
        probabilities=probabilities,
        calibration=None if calibration is None else to_float_images(calibration),
        recipe=recipe,
    )
    if "int8" in names:
        calibration_inputs(deployment)  # validated before the other formats are written
    return [_export_file(deployment, name, folder, stem, tolerance) for name in names]


@torch.no_grad()
def _export_file(deployment: Deployment, name: str, folder: Path, stem: str, tolerance: float) -> ExportedFile:
    form = FILE_FORMATS[name]
    path = folder / f"{stem}{form.suffix}"
    content = form.encode(deployment)
    agreement = None
    try:
        predict = form.decode(content, deployment)
        if name == "int8":
            difference, agreement = _compare_int8(deployment, predict, path)
        else:
            difference = _compare(deployment, predict, path, tolerance)
        latency = {n: median_latency(predict, *deployment.random_inputs(n, SEED)) for n in LATENCY_BATCH_SIZES}
    except (ConfigurationError, ExportError):
        raise
    except Exception as error:  # onnxruntime has a type for each kind of failure
        raise ExportError(f"{path}: cannot be run: {one_line(error)[:300]}; the file was not written") from error
    with atomic_write(path, "wb") as file:
        file.write(content)
    return ExportedFile(path, name, len(content), difference, latency, agreement)


def _compare(deployment: Deployment, predict: Predictor, path: Path, tolerance: float) -> float:
    """Return the largest difference on random batches.

    Raises:
        ExportError: it exceeds the tolerance.
    """
    largest = 0.0
    for n in BATCH_SIZES:
        inputs = deployment.random_inputs(n, SEED + n)
        expected = deployment.module(*inputs)
        difference = _difference(predict(*inputs), expected)
        # Rounding to 8 bits turns the smallest difference into one level.
        bound = tolerance * max(1.0, float(expected.abs().max())) if expected.is_floating_point() else 1.0
        if not difference <= bound:  # also for NaN
            raise ExportError(
                f"{path}: its outputs differ from PyTorch's by {difference:.3g} for a batch of {n}, expected at most "
                f"{bound:.3g}; the file was not written"
            )
        largest = max(largest, difference)
    return largest


def _compare_int8(deployment: Deployment, predict: Predictor, path: Path) -> tuple[float, float]:
    """Return the largest difference on the calibration samples, and the share of samples with an equal class.

    Raises:
        ExportError: the share is less than :data:`MIN_AGREEMENT`.
    """
    inputs = calibration_inputs(deployment)
    chunks = [(predict(chunk), deployment.module(chunk)) for chunk in inputs.split(LATENCY_BATCH_SIZES[-1])]
    actual, expected = (torch.cat(tensors) for tensors in zip(*chunks, strict=True))
    agreement = float((actual.argmax(1) == expected.argmax(1)).float().mean())
    if agreement < MIN_AGREEMENT:
        raise ExportError(
            f"{path}: int8 changes the class of {1 - agreement:.1%} of the calibration samples, expected at most "
            f"{1 - MIN_AGREEMENT:.0%}; the file was not written"
        )
    return _difference(actual, expected), agreement


def _difference(actual: Tensor, expected: Tensor) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    return float((actual.double() - expected.double()).abs().max())
