"""Context managers that run a network in another mode and leave it unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ganmc_lightning.networks.wrappers import unwrap


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Set a network to evaluation mode; on exit, restore the training flag of every submodule.

    ``network.train(was_training)`` would also change submodules that are kept in evaluation mode, such as a frozen
    teacher.

    Args:
        network: module to evaluate.

    Example:
        >>> network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2).eval())
        >>> with evaluating(network):
        ...     print([module.training for module in network])
        [False, False]
        >>> [module.training for module in network]
        [True, False]
    """
    flags = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


@contextmanager
def unchanged_state(network: nn.Module, device: torch.device) -> Iterator[None]:
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


def eager(network: nn.Module) -> AbstractContextManager[Any]:
    """Return a context that runs compiled networks eagerly: code compiled without hooks would ignore later hooks."""
    if any(unwrap(module) is not module or module._compiled_call_impl is not None for module in network.modules()):
        eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
        return eager
    return nullcontext()
