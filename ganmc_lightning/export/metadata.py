"""Metadata of exported files: classes, inputs, outputs and versions, as text by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import torch

from ganmc_lightning import __version__
from ganmc_lightning.export.deployment import ROWS, DeployedGenerator, Deployment


def describe_deployment(deployment: Deployment) -> dict[str, str]:
    """Return the metadata of an exported file.

    Returns:
        ``inputs`` and ``outputs`` with name, dtype, shape and range; ``class_names``, a JSON list, empty for unnamed
        classes; ``ganmc_lightning`` and ``torch``, the versions; ``created``, the time in UTC (ISO 8601). For a
        generator ``latent_std``, the standard deviation of its normal latents. For rows with known statistics ``mean``
        and ``std``, JSON lists with one number per column, and ``quantiles`` if a quantile transform was applied
        before: the values and the normal quantiles of each column.
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
        **_latents(deployment),
        **_statistics(deployment),
    }


def _latents(deployment: Deployment) -> dict[str, str]:
    module = deployment.module
    return {"latent_std": str(module.network.latent_std)} if isinstance(module, DeployedGenerator) else {}


def _statistics(deployment: Deployment) -> dict[str, str]:
    """Return the statistics of z-scored rows; those of images are not applied to the inputs."""
    statistics = deployment.spec.statistics
    if statistics is None or ROWS not in (deployment.inputs[0].name, deployment.output):
        return {}
    values = {"mean": statistics.mean.tolist(), "std": statistics.std.tolist()}
    if statistics.quantiles:
        values["quantiles"] = [column.tolist() for column in statistics.quantiles]
    return {name: json.dumps(value) for name, value in values.items()}


def _output_range(deployment: Deployment) -> tuple[str, str]:
    if deployment.output == "probabilities":
        return "float32", " in [0, 1]"
    if deployment.output != "images":
        return "float32", ", z-scores" if deployment.output == ROWS else ""
    return ("uint8", " in [0, 255]") if deployment.module.uint8_outputs else ("float32", " in [-1, 1]")
