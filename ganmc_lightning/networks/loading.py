"""Load a trained network from a checkpoint, given only its path.

A checkpoint contains the recipe of each network (``class_path`` and ``init_args``, as in the configuration), its
weights, and the specification of the data that it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Discriminator, Generator
from ganmc_lightning.networks.checkpoints import (
    data_spec_of,
    generator_submodule,
    read_checkpoint,
    recipe_from_checkpoint,
    relevant_line,
    submodule_weights,
)
from ganmc_lightning.networks.recipes import instantiate_network, recipe_loader
from ganmc_lightning.networks.training_data import set_training_data
from ganmc_lightning.networks.wrappers import rename_weights


@recipe_loader
def load_network(path: str, submodule: str, network: nn.Module | None = None) -> nn.Module:
    """Load a network of a training run with its trained weights, on the CPU, in evaluation mode.

    The specification of its training data (class names, statistics) is attached to the network, and is compared with
    the data that the network is used on. Weights of a compiled or distributed network are loaded into a plain one, and
    vice versa.

    Args:
        path: checkpoint of one of the LightningModules.
        submodule: name of the network: ``"network"`` of a classifier, ``"student"`` of a distillation, ``"generator"``
            or ``"discriminator"`` of a GAN.
        network: network to load the weights into; required only for runs started from Python: their checkpoints contain
            no recipe.

    Raises:
        ConfigurationError: the file is missing, damaged or of another type, or its weights do not match the network.
    """
    return _load(read_checkpoint(path), submodule, path, network)


@recipe_loader
def load_generator(path: str, submodule: str | None = None) -> Generator:
    """Load a generator; see :func:`load_network`.

    Args:
        path: checkpoint of a GAN, or of a compressed generator.
        submodule: name of the generator (default: ``"generator"``, or ``"student"`` of a compressed generator).

    Raises:
        ConfigurationError: as :func:`load_network`, or the submodule is not a generator.
    """
    checkpoint = read_checkpoint(path)
    submodule = submodule or generator_submodule(checkpoint)
    network = _load(checkpoint, submodule, path)
    if not isinstance(network, Generator):
        raise ConfigurationError(f"{path}: '{submodule}' is a {type(network).__name__}, expected a generator")
    return network


@recipe_loader
def load_acgan_discriminator(path: str, submodule: str = "discriminator") -> ClassConditionalDiscriminator:
    """Load the discriminator of an AC-GAN, to continue training; see :func:`load_network`.

    Args:
        path: checkpoint of an AC-GAN.
        submodule: name of the discriminator.

    Raises:
        ConfigurationError: as :func:`load_network`, or the submodule is not a discriminator of an AC-GAN.
    """
    network = load_network(path, submodule)
    if not isinstance(network, ClassConditionalDiscriminator):
        raise ConfigurationError(
            f"{path}: '{submodule}' is a {type(network).__name__}, expected a discriminator of an AC-GAN"
        )
    return network


@recipe_loader
def load_discriminator(path: str, submodule: str = "discriminator") -> Discriminator:
    """Load the discriminator of an unconditional GAN, to continue training; see :func:`load_network`.

    Args:
        path: checkpoint of a GAN.
        submodule: name of the discriminator.

    Raises:
        ConfigurationError: as :func:`load_network`, or the submodule is not a discriminator of an unconditional GAN.
    """
    network = load_network(path, submodule)
    if not isinstance(network, Discriminator):
        raise ConfigurationError(
            f"{path}: '{submodule}' is a {type(network).__name__}, expected a discriminator without class logits"
        )
    return network


def _load(checkpoint: Mapping[str, Any], submodule: str, path: str, network: nn.Module | None = None) -> nn.Module:
    weights = submodule_weights(checkpoint, submodule, path)
    if network is None:
        recipe = recipe_from_checkpoint(checkpoint, submodule, path)
        with torch.random.fork_rng(devices=()):  # initial weights of other networks must not depend on loading one
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
