"""Safetensors files: weights of a network, and its recipe as metadata."""

from __future__ import annotations

import copy

from safetensors.torch import load, save

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.export.deployment import Deployment
from ganmc_lightning.export.metadata import describe_deployment
from ganmc_lightning.export.timing import Predictor
from ganmc_lightning.networks.recipe_metadata import encode_recipe


def encode_weights(deployment: Deployment) -> bytes:
    """Return a safetensors file with the weights, the recipe, the data specification and metadata.

    Weights that several layers share are stored once per layer.

    Raises:
        ConfigurationError: the recipe contains values that are not of JSON.
    """
    weights = {
        name: value.detach().clone().contiguous() for name, value in deployment.module.network.state_dict().items()
    }
    if not weights:
        raise ConfigurationError(f"{type(deployment.module.network).__name__}: got a network without weights")
    metadata = {"format": "pt", **describe_deployment(deployment), **encode_recipe(deployment.recipe, deployment.spec)}
    content: bytes = save(weights, metadata)
    return content


def decode_weights(content: bytes, deployment: Deployment) -> Predictor:
    """Return a copy of the network of a deployment with the weights of a safetensors file."""
    module = copy.deepcopy(deployment.module)
    for parameter in module.parameters():
        parameter.data.zero_()
    module.network.load_state_dict(load(content))
    return module
