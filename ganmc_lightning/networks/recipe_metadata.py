"""Recipe and data specification of a network in the metadata of a safetensors file, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.allocation import AllocationLimit
from ganmc_lightning.networks.checkpoints import TRAINED_ON
from ganmc_lightning.networks.matching import load_weights
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.training_data import set_training_data
from ganmc_lightning.networks.weight_files import read_metadata

RECIPE = "recipe"
"""Metadata key of the ``class_path`` and ``init_args`` of a network."""


def to_jsonable(recipe: Mapping[str, Any] | None, spec: DataSpec | None) -> dict[str, Any]:
    """Return a recipe and the specification of the training data as JSON values, without those that are None.

    Raises:
        ConfigurationError: the recipe contains other values than those of YAML.

    Example:
        >>> to_jsonable(None, DataSpec((1, 8, 8), 2, ("cat", "dog")))["trained_on"]["class_names"]
        ['cat', 'dog']
    """
    values = {RECIPE: recipe, TRAINED_ON: None if spec is None else spec.state_dict()}
    try:
        text = json.dumps({key: value for key, value in values.items() if value is not None}, default=_to_list)
    except TypeError as error:
        raise ConfigurationError(f"recipe: {error}, expected numbers, text, lists and mappings") from error
    found: dict[str, Any] = json.loads(text)
    return found


def encode_recipe(recipe: Mapping[str, Any] | None, spec: DataSpec | None) -> dict[str, str]:
    """Return a recipe and the specification of the training data as metadata of a file; see :func:`decode_recipe`."""
    return {key: json.dumps(value) for key, value in to_jsonable(recipe, spec).items()}


def decode_recipe(metadata: Mapping[str, str], path: str) -> tuple[Mapping[str, Any] | None, DataSpec | None]:
    """Return the recipe and the specification in the metadata of a file; None if missing.

    Args:
        metadata: text by name.
        path: the file, for error messages.

    Raises:
        ConfigurationError: the metadata are damaged.

    Example:
        >>> metadata = encode_recipe({"class_path": "torch.nn.Identity"}, DataSpec((2,), 3))
        >>> decode_recipe(metadata, "demo.safetensors")[0]
        {'class_path': 'torch.nn.Identity'}
    """
    try:
        recipe = json.loads(metadata.get(RECIPE, "null"))
        state = json.loads(metadata.get(TRAINED_ON, "null"))
        spec = None if state is None else spec_from_json(state)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{path}: its metadata are damaged ({type(error).__name__}: {error})") from error
    if not isinstance(recipe, dict | None):
        raise ConfigurationError(f"{path}: got a recipe of type {type(recipe).__name__}, expected a mapping")
    return recipe, spec


def load_described(path: str, weights: Mapping[str, Any]) -> nn.Module | None:
    """Build the network that the metadata of a safetensors file describe, with the weights of the file.

    Args:
        path: the file.
        weights: contents of the file.

    Returns:
        The network in evaluation mode, with the specification of its training data; None for a file without recipe.

    Raises:
        ConfigurationError: the metadata are damaged, or the weights do not match the network.
    """
    recipe, spec = decode_recipe(read_metadata(path), path)
    if recipe is None:
        return None
    # Initial weights of other networks must not depend on loading one.
    with torch.random.fork_rng(devices=()), AllocationLimit(path):
        network = instantiate_network(recipe, path)
    load_weights(network, dict(weights), path)
    if spec is not None:
        set_training_data(network, spec)
    return network.eval()


def spec_from_json(state: Mapping[str, Any]) -> DataSpec:
    """Rebuild a data specification of :func:`to_jsonable`."""
    statistics = state["statistics"]
    if statistics is not None:
        statistics = {
            "mean": torch.tensor(statistics["mean"], dtype=torch.float64),
            "std": torch.tensor(statistics["std"], dtype=torch.float64),
            "quantiles": [torch.tensor(values, dtype=torch.float64) for values in statistics["quantiles"]],
        }
    return DataSpec.from_state_dict({**state, "statistics": statistics})


def _to_list(value: object) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    raise TypeError(f"got a value of type {type(value).__name__}")
