"""Hold a network against the data it is meant for, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
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


def check_verdict(name: str, discriminator: nn.Module, spec: DataSpec) -> None:
    """Try a discriminator without classes on two blank samples.

    Raises:
        InputError: it does not take such samples, or does not answer with one logit for each.
    """
    verdict = try_samples(name, discriminator, spec)
    if not isinstance(verdict, Tensor) or tuple(verdict.shape) != (2,):
        got = tuple(verdict.shape) if isinstance(verdict, Tensor) else type(verdict).__name__
        raise InputError(
            f"{name} ({type(discriminator).__name__}) answers two samples of shape {tuple(spec.sample_shape)} with "
            f"{got} where two logits are due: build it for their size"
        )


def try_samples(name: str, network: nn.Module, spec: DataSpec, ask: Callable[[Tensor], Any] | None = None) -> Any:
    """Return what a network makes of two blank samples, leaving it as it was.

    Args:
        name: its key in the configuration, for the message.
        network: any module that takes samples.
        spec: what the data look like.
        ask: how the network is asked, if it is not simply called.

    Raises:
        InputError: it does not take such samples.
    """
    shape = tuple(spec.sample_shape)
    parameter = next(network.parameters(), torch.empty(0))
    modes = {module: module.training for module in network.modules()}  # a frozen network mixes them
    network.eval()
    try:
        with torch.no_grad():
            blank = torch.zeros(2, *shape, device=parameter.device, dtype=parameter.dtype)
            return (ask or network)(blank)
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError(
            f"{name} ({type(network).__name__}) does not take the data's samples of shape {shape}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training
