"""Validate input and output shapes of networks against the data, before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.modes import eager, evaluating, unchanged_state
from ganmc_lightning.networks.wrappers import unwrap


def check_classifier(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Run a classifier on two samples and check its logits.

    Args:
        name: configuration key of the network, for error messages.
        network: network of samples that returns logits.
        spec: specification of the data.

    Raises:
        ConfigurationError: the network does not accept the samples, or does not return one tensor with one logit per
            class.

    Example:
        >>> check_classifier("model.network", nn.Linear(4, 3), DataSpec((4,), 3))
    """
    check_logits(name, network, dry_run(name, network, spec), spec)


def check_trainable_classifier(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Check a classifier in evaluation mode and in training mode, in which some networks return auxiliary outputs.

    Weights, buffers such as batch statistics, and the random state are unchanged.

    Raises:
        ConfigurationError: the network does not return one tensor with one logit per class in both modes.
    """
    check_classifier(name, network, spec)
    logits = dry_run(name, network, spec, training=True)
    if not isinstance(logits, Tensor):
        raise ConfigurationError(
            f"{name} ({type(unwrap(network)).__name__}): returned {_describe_output(logits)[0]} in training mode, "
            f"expected one tensor of {spec.num_classes} logits; disable auxiliary outputs (aux_logits=False), or wrap "
            "it in a module whose forward returns only the logits"
        )
    check_logits(name, network, logits, spec)


def check_logits(name: str, network: nn.Module, logits: Any, spec: DataSpec) -> None:
    """Check the output of a classifier for two samples.

    Args:
        name: configuration key of the network, for error messages.
        network: the network, for error messages.
        logits: output of the network for two samples.
        spec: specification of the data.

    Raises:
        ConfigurationError: the output is not one tensor with one logit per class, or contains probabilities.
    """
    key = f"{name} ({type(unwrap(network)).__name__})"
    if not isinstance(logits, Tensor):
        actual, fix = _describe_output(logits)
        raise ConfigurationError(
            f"{key}: returned {actual}, expected one tensor of {spec.num_classes} logits; wrap it in a module whose "
            f"forward returns {fix}"
        )
    if tuple(logits.shape) != (2, spec.num_classes):
        raise ConfigurationError(
            f"{key}: returned shape {tuple(logits.shape)} for 2 samples, expected (2, {spec.num_classes}) for the "
            f"{spec.num_classes} classes of the data"
        )
    if are_probabilities(logits):
        raise ConfigurationError(
            f"{key}: returned probabilities (each row sums to 1), expected logits; remove its final "
            'softmax, or load it with load_network(..., outputs="probabilities")'
        )


def are_probabilities(outputs: Tensor) -> bool:
    """Whether every row of ``outputs`` (N, K) is in [0, 1] and sums to 1, as after a softmax.

    Example:
        >>> logits = torch.tensor([[2.0, -1.0], [0.5, 0.0]])
        >>> are_probabilities(logits), are_probabilities(logits.softmax(dim=1))
        (False, True)
    """
    tolerance = 1e-4 if outputs.dtype in (torch.float32, torch.float64) else 1e-2
    outputs = outputs.to(torch.float64)
    inside = (outputs >= 0) & (outputs <= 1)
    return outputs.shape[1] > 1 and bool(inside.all() & ((outputs.sum(dim=1) - 1).abs() < tolerance).all())


def _describe_output(output: Any) -> tuple[str, str]:
    """Describe an output that is not a tensor; return its type and the expression that returns its logits."""
    if isinstance(output, Mapping):
        keys = [str(key) for key in output]
        key = "logits" if "logits" in keys or not keys else keys[0]
        return f"a {type(output).__name__} with {', '.join(keys) or 'nothing'}", f'network(inputs)["{key}"]'
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} of {len(output)}", "network(inputs)[0]"
    return f"a {type(output).__name__}", "network(inputs).logits" if hasattr(output, "logits") else "only the logits"


def check_discriminator(name: str, discriminator: nn.Module, spec: DataSpec) -> None:
    """Run a discriminator without class logits on two samples and check its logits.

    Raises:
        ConfigurationError: the discriminator does not accept the samples, or does not return one logit per sample.
    """
    logits = dry_run(name, discriminator, spec)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (2,):
        actual = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ConfigurationError(
            f"{name} ({type(discriminator).__name__}): returned {actual} for 2 samples of shape "
            f"{tuple(spec.sample_shape)}, expected (2,)"
        )


def dry_run(
    name: str,
    network: nn.Module,
    spec: DataSpec,
    forward: Callable[[Tensor], Any] | None = None,
    training: bool = False,
) -> Any:
    """Return the output of a network for two samples, one of zeros and one of noise; its state is unchanged.

    Args:
        name: configuration key of the network, for error messages.
        network: network of samples.
        spec: specification of the data.
        forward: function to run instead of the network.
        training: whether to run in training mode (default: evaluation mode).

    Raises:
        ConfigurationError: the network does not accept the samples.

    Example:
        >>> dry_run("model.network", nn.Linear(4, 3), DataSpec((4,), 3)).shape
        torch.Size([2, 3])
    """
    shape, samples = tuple(spec.sample_shape), example_samples(network, spec)
    try:
        with torch.no_grad(), evaluating(network), unchanged_state(network, samples.device), eager(network):
            network.train(training)
            return (forward or network)(samples)
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:  # asserts of timm's networks
        raise ConfigurationError(
            f"{name} ({type(network).__name__}): does not accept samples of shape {shape} as in the data: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error


def example_samples(network: nn.Module, spec: DataSpec) -> Tensor:
    """Return two samples, one of zeros and one of noise in [-1, 1], in device and precision of the network.

    Example:
        >>> example_samples(nn.Linear(4, 3), DataSpec((4,), 3)).shape
        torch.Size([2, 4])
    """
    shape = tuple(spec.sample_shape)
    parameter = next(network.parameters(), torch.empty(0))
    noise = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.cat([torch.zeros(1, *shape), noise]).to(parameter.device, parameter.dtype)


def share_tensors(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have a parameter or buffer in common.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> share_tensors(nn.Sequential(layer), layer), share_tensors(nn.Linear(2, 2), layer)
        (True, False)
    """
    tensors = {id(tensor) for tensor in chain(other.parameters(), other.buffers())}
    return any(id(tensor) in tensors for tensor in chain(one.parameters(), one.buffers()))
