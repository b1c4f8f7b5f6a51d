"""``.pt2`` files of ``torch.export``: the graph and weights of a network, without its class."""

from __future__ import annotations

import io
import json

import torch

from ganmc_lightning.export.deployment import Deployment
from ganmc_lightning.export.metadata import describe_deployment
from ganmc_lightning.export.timing import Predictor
from ganmc_lightning.networks.exported import METADATA_FILE


def encode_program(deployment: Deployment) -> bytes:
    """Return a ``.pt2`` file with a dynamic batch size and metadata (``extra_files`` of ``torch.export.load``).

    Raises:
        ConfigurationError: the network's code cannot be traced.
    """
    file = io.BytesIO()
    torch.export.save(
        deployment.program, file, extra_files={METADATA_FILE: json.dumps(describe_deployment(deployment))}
    )
    return file.getvalue()


def decode_program(content: bytes, _: Deployment | None = None) -> Predictor:
    """Return the network of a ``.pt2`` file."""
    predict: Predictor = torch.export.load(io.BytesIO(content)).module()
    return predict
