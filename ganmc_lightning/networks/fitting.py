"""Hold a network against the data it is meant for, before anything is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.errors import InputError


def check_classifier(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Try a classifier on two blank samples.

    Args:
        name: its key in the configuration, for the message.
        network: any module from samples to logits.
        spec: what the data look like.

    Raises:
        InputError: it does not take such samples, or does not answer with one logit a class.
    """
    check_logits(name, network, try_samples(name, network, spec), spec)


def check_logits(name: str, network: nn.Module, logits: Any, spec: DataSpec) -> None:
    """Raise :class:`InputError` unless ``logits``, the answer to two samples, has one logit a class."""
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (2, spec.num_classes):
        got = tuple(logits.shape[1:]) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"{name} ({type(network).__name__}) answers with {got} where the data have {spec.num_classes} classes"
        )


def try_samples(name: str, network: nn.Module, spec: DataSpec) -> Any:
    """Return what a network makes of two blank samples, leaving it as it was.

    Raises:
        InputError: it does not take such samples.
    """
    shape = tuple(spec.sample_shape)
    parameter = next(network.parameters(), torch.empty(0))
    modes = {module: module.training for module in network.modules()}  # a frozen network mixes them
    network.eval()
    try:
        with torch.no_grad():
            return network(torch.zeros(2, *shape, device=parameter.device, dtype=parameter.dtype))
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError(
            f"{name} ({type(network).__name__}) does not take the data's samples of shape {shape}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training
