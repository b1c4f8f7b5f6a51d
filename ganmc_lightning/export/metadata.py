"""Metadata of exported files: classes, inputs, outputs and versions, as text by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import torch

from ganmc_lightning import __version__
from ganmc_lightning.export.deployment import Deployment


def describe_deployment(deployment: Deployment) -> dict[str, str]:
    """Return the metadata of an exported file.

    Returns:
        ``inputs`` and ``outputs`` with name, dtype, shape and range; ``class_names``, a JSON list, empty for unnamed
        classes; ``ganmc_lightning`` and ``torch``, the versions; ``created``, the time in UTC (ISO 8601).
    """
    spec = deployment.spec
    sizes = ("N", spec.num_classes) if deployment.output in ("logits", "probabilities") else ("N", *spec.sample_shape)
    dtype, bounds = _output_range(deployment)
    return {
        "inputs": "; ".join(map(str, deployment.inputs)),
        "outputs": f"{deployment.output}: {dtype} ({', '.join(map(str, sizes))}){bounds}",
        "class_names": json.dumps(list(spec.class_names)),
        "ganmc_lightning": __version__,
        "torch": torch.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _output_range(deployment: Deployment) -> tuple[str, str]:
    if deployment.output == "probabilities":
        return "float32", " in [0, 1]"
    if deployment.output != "images":
        return "float32", ""
    return ("uint8", " in [0, 255]") if deployment.module.uint8_outputs else ("float32", " in [-1, 1]")
