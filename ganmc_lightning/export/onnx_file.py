"""ONNX files of networks, and their predictions with onnxruntime."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.export.deployment import BATCH, Deployment
from ganmc_lightning.export.metadata import describe_deployment
from ganmc_lightning.export.timing import Predictor

OPSET = 18
"""Version of the ONNX operators: the first with antialiased resizing, supported by onnxruntime since 1.14."""


def encode_onnx(deployment: Deployment) -> bytes:
    """Return an ONNX file with a dynamic batch size; see :func:`make_onnx`."""
    content: bytes = make_onnx(deployment).SerializeToString()
    return content


def make_onnx(deployment: Deployment) -> Any:
    """Convert a network to an ONNX model (``onnx.ModelProto``) with metadata.

    Raises:
        ConfigurationError: the network uses an operator without ONNX counterpart.
    """
    import onnx

    program = deployment.program
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch and onnxscript
            converted = torch.onnx.export(
                program,
                input_names=[spec.name for spec in deployment.inputs],
                output_names=[deployment.output],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        assert converted is not None
        model = converted.model_proto
    except Exception as error:  # the exporter raises many types
        name = type(deployment.module.network).__name__
        raise ConfigurationError(f"{name}: cannot be converted to ONNX: {one_line(error)[:300]}") from error
    _name_batch(model.graph)
    model.producer_name = "ganmc_lightning"
    onnx.helper.set_model_props(model, describe_deployment(deployment))
    return model


def decode_onnx(content: bytes, _: Deployment | None = None) -> Predictor:
    """Return a function that predicts with an ONNX file in onnxruntime, on one thread of the CPU."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def predict(*inputs: Tensor) -> Tensor:
        feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return torch.from_numpy(np.asarray(session.run(None, feed)[0]))

    return predict


def _name_batch(graph: Any) -> None:
    """Rename the symbol of the dynamic dimension, which torch.export numbers (``s34``), to :data:`BATCH`."""
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    pattern = re.compile(rf"\b{re.escape(symbol)}\b")
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = pattern.sub(BATCH, size.dim_param)
