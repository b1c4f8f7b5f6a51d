"""Hold a network against the data it is meant for, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.modes import evaluating
from ganmc_lightning.networks.wrappers import unwrapped


def check_classifier(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Try a classifier on two samples.

    Args:
        name: its key in the configuration, for the message.
        network: any module from samples to logits.
        spec: what the data look like.

    Raises:
        ConfigurationError: it does not take such samples, or does not return one tensor with one logit for each class.
    """
    check_logits(name, network, dry_run(name, network, spec), spec)


def check_trainable_classifier(name: str, network: nn.Module, spec: DataSpec) -> None:
    """Try a classifier that is going to be trained in training mode too, where some return auxiliary outputs.

    Weights, buffers such as batch statistics, and the random state are left as they were.

    Raises:
        ConfigurationError: it does not return one tensor with one logit for each class in both modes.
    """
    check_classifier(name, network, spec)
    logits = dry_run(name, network, spec, training=True)
    if not isinstance(logits, Tensor):
        raise ConfigurationError(
            f"{name} ({type(unwrapped(network)).__name__}) returns {_described(logits)[0]} in training mode where one "
            f"tensor of {spec.num_classes} logits is expected: build it without auxiliary outputs (aux_logits=False), "
            "or wrap it in a module whose forward returns the logits alone"
        )
    check_logits(name, network, logits, spec)


def check_logits(name: str, network: nn.Module, logits: Any, spec: DataSpec) -> None:
    """Check the answer to two samples.

    Args:
        name: key of the network in the configuration, for the message.
        network: who answered.
        logits: what it returned for two samples.
        spec: what the data look like.

    Raises:
        ConfigurationError: it is not one tensor with one logit for each class, or it holds probabilities.
    """
    who = f"{name} ({type(unwrapped(network)).__name__})"
    if not isinstance(logits, Tensor):
        got, fix = _described(logits)
        raise ConfigurationError(
            f"{who} returns {got} where one tensor of {spec.num_classes} logits is expected: wrap it in a module "
            f"whose forward returns {fix}"
        )
    if tuple(logits.shape) != (2, spec.num_classes):
        raise ConfigurationError(
            f"{who} answers with {tuple(logits.shape[1:])} where the data have {spec.num_classes} classes"
        )
    if are_probabilities(logits):
        raise ConfigurationError(
            f"{who} returns probabilities (each row sums to 1) where logits are expected: remove the softmax at its end"
        )


def are_probabilities(answers: Tensor) -> bool:
    """Whether every row of (N, K) lies in [0, 1] and sums to 1, as behind a softmax.

    Example:
        >>> logits = torch.tensor([[2.0, -1.0], [0.5, 0.0]])
        >>> are_probabilities(logits), are_probabilities(logits.softmax(dim=1))
        (False, True)
    """
    tolerance = 1e-4 if answers.dtype in (torch.float32, torch.float64) else 1e-2
    answers = answers.to(torch.float64)
    inside = (answers >= 0) & (answers <= 1)
    return answers.shape[1] > 1 and bool(inside.all() & ((answers.sum(dim=1) - 1).abs() < tolerance).all())


def _described(answer: Any) -> tuple[str, str]:
    """What a network returned in place of a tensor, and how to get the logits out of it."""
    if isinstance(answer, Mapping):
        keys = [str(key) for key in answer]
        key = "logits" if "logits" in keys or not keys else keys[0]
        return f"a {type(answer).__name__} with {', '.join(keys) or 'nothing'}", f'network(inputs)["{key}"]'
    if isinstance(answer, tuple | list):
        return f"a {type(answer).__name__} of {len(answer)}", "network(inputs)[0]"
    return f"a {type(answer).__name__}", "network(inputs).logits" if hasattr(answer, "logits") else "the logits alone"


def check_discriminator(name: str, discriminator: nn.Module, spec: DataSpec) -> None:
    """Try a discriminator without classes on two samples.

    Raises:
        ConfigurationError: it does not take such samples, or does not answer with one logit for each.
    """
    verdict = dry_run(name, discriminator, spec)
    if not isinstance(verdict, Tensor) or tuple(verdict.shape) != (2,):
        got = tuple(verdict.shape) if isinstance(verdict, Tensor) else type(verdict).__name__
        raise ConfigurationError(
            f"{name} ({type(discriminator).__name__}) answers two samples of shape {tuple(spec.sample_shape)} with "
            f"{got} where two logits are due: build it for their size"
        )


def dry_run(
    name: str,
    network: nn.Module,
    spec: DataSpec,
    ask: Callable[[Tensor], Any] | None = None,
    training: bool = False,
) -> Any:
    """Return what a network makes of two samples, one blank and one of noise, leaving it as it was.

    Args:
        name: its key in the configuration, for the message.
        network: any module that takes samples.
        spec: what the data look like.
        ask: how the network is asked, if it is not simply called.
        training: ask it in training mode.

    Raises:
        ConfigurationError: it does not take such samples.
    """
    shape = tuple(spec.sample_shape)
    parameter = next(network.parameters(), torch.empty(0))
    noise = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    samples = torch.cat([torch.zeros(1, *shape), noise]).to(parameter.device, parameter.dtype)
    try:
        with torch.no_grad(), evaluating(network), _unchanged_state(network, parameter.device), _not_compiled(network):
            network.train(training)
            return (ask or network)(samples)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ConfigurationError(
            f"{name} ({type(network).__name__}) does not take the data's samples of shape {shape}: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error


def _not_compiled(network: nn.Module) -> AbstractContextManager[Any]:
    """Run compiled code eagerly: code compiled for a trial costs time, and passes over hooks that are set later."""
    if any(unwrapped(module) is not module or module._compiled_call_impl is not None for module in network.modules()):
        eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
        return eager
    return nullcontext()


@contextmanager
def _unchanged_state(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore buffers and the random state on exit."""
    kept = [
        (module, name, buffer, buffer.detach().clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not is_lazy(buffer)
    ]
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for module, name, buffer, value in kept:
            buffer.copy_(value)
            module._buffers[name] = buffer
