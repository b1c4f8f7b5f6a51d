"""Load a submodule of a checkpoint of this package.

A checkpoint contains the recipe of each network (``class_path`` and ``init_args``, as in the configuration), its
weights, and the specification of the data that it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.allocation import AllocationLimit
from ganmc_lightning.networks.checkpoints import (
    data_spec_of,
    recipe_from_checkpoint,
    relevant_line,
    submodule_weights,
)
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.training_data import set_training_data
from ganmc_lightning.networks.wrappers import rename_weights


def load_submodule(
    checkpoint: Mapping[str, Any], submodule: str, path: str, network: nn.Module | None = None
) -> nn.Module:
    """Load a submodule with its weights, in evaluation mode, and attach the specification of its training data.

    Args:
        checkpoint: contents of the checkpoint.
        submodule: name of the submodule.
        path: file of the checkpoint.
        network: network to load the weights into (default: the one that the recipe describes).

    Raises:
        ConfigurationError: there is no such submodule, no recipe, or the weights do not match the network.
    """
    weights = submodule_weights(checkpoint, submodule, path)
    if network is None:
        recipe = recipe_from_checkpoint(checkpoint, submodule, path)
        # Initial weights of other networks must not depend on loading one.
        with torch.random.fork_rng(devices=()), AllocationLimit(path):
            network = instantiate_network(recipe, path)
    try:
        network.load_state_dict(rename_weights(weights, network.state_dict()))
    except RuntimeError as error:
        raise ConfigurationError(
            f"{path}: the weights of '{submodule}' do not match its network: {relevant_line(error)}"
        ) from error
    spec = data_spec_of(checkpoint, path)
    if spec is not None:
        set_training_data(network, spec)
    return network.eval()
