"""Context manager for evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
