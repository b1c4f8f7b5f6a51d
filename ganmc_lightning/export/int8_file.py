"""ONNX files with int8 weights and activations, by static quantization of onnxruntime.

Weights are signed with one scale per output channel, activations unsigned with one scale per tensor (QDQ format). The
ranges of the activations are those of calibration samples.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.batch import to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.export.deployment import Deployment
from ganmc_lightning.export.metadata import describe_deployment
from ganmc_lightning.export.onnx_file import make_onnx

CHUNK = 64
"""Calibration samples per forward pass."""


def encode_int8(deployment: Deployment) -> bytes:
    """Return an ONNX file with int8 weights and activations.

    Raises:
        ConfigurationError: the deployment has no calibration samples, or the network cannot be quantized.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # type: ignore[import-untyped]
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata  # type: ignore[import-untyped]

    samples = calibration_inputs(deployment)
    model = make_onnx(deployment)
    # The exporter has inferred shapes and folded constants; without this mark, onnxruntime logs advice to do so.
    add_pre_process_metadata(model)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        try:
            with _without_warnings():
                quantize_static(
                    model,
                    path,
                    CalibrationReader(deployment.inputs[0].name, samples),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,  # signed activations use slower kernels on x86
                    weight_type=QuantType.QInt8,
                    # Quantized probabilities would not sum to 1, and small ones would be 0.
                    nodes_to_exclude=[node.name for node in model.graph.node if node.op_type == "Softmax"],
                )
            quantized = onnx.load(path)
        except Exception as error:  # onnxruntime has a type for each kind of failure
            name = type(deployment.module.network).__name__
            raise ConfigurationError(f"{name}: cannot be quantized to int8: {one_line(error)[:300]}") from error
    onnx.helper.set_model_props(quantized, {**describe_deployment(deployment), "quantization": "int8, QDQ"})
    content: bytes = quantized.SerializeToString()
    return content


def calibration_inputs(deployment: Deployment) -> Tensor:
    """Return the calibration samples in the data type of the exported inputs, (M, *sample_shape).

    Raises:
        ConfigurationError: there are none, or their shape is not that of the network's samples.
    """
    samples, spec = deployment.calibration, deployment.spec
    if samples is None or len(samples) == 0:
        raise ConfigurationError(
            "calibration: got no samples, expected training samples of a classifier, which determine the ranges of "
            "int8 activations"
        )
    if tuple(samples.shape[1:]) != tuple(spec.sample_shape):
        raise ConfigurationError(
            f"calibration: got samples of shape {tuple(samples.shape[1:])}, expected {tuple(spec.sample_shape)}"
        )
    return to_uint8_images(samples) if deployment.inputs[0].dtype == torch.uint8 else samples


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide log messages: onnxruntime warns of each vector of weights, which always has one scale."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)


class CalibrationReader:
    """Iterator over batches of calibration samples, with the interface of onnxruntime's ``CalibrationDataReader``.

    Args:
        name: name of the network's input.
        samples: inputs (M, ...).
    """

    def __init__(self, name: str, samples: Tensor) -> None:
        self._batches = self._iterate(name, samples)

    @staticmethod
    def _iterate(name: str, samples: Tensor) -> Iterator[dict[str, Any]]:
        for chunk in samples.split(CHUNK):
            yield {name: chunk.numpy()}

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch, or None after the last."""
        return next(self._batches, None)
