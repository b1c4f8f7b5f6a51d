"""Batch normalization: freeze running statistics, and reject batches of a single value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.utils.hooks import RemovableHandle

from ganmc_lightning.exceptions import ConfigurationError


@contextmanager
def frozen_batchnorm_stats(network: nn.Module) -> Iterator[None]:
    """Freeze the running statistics of batch normalization layers in training mode.

    Batches are still normalized by their own statistics.

    Args:
        network: module; its batch normalization layers are changed inside the context.

    Example:
        >>> import torch
        >>> layer = nn.BatchNorm1d(2)
        >>> with frozen_batchnorm_stats(layer):
        ...     _ = layer(torch.randn(4, 2))
        >>> int(layer.num_batches_tracked)
        0
    """
    tracking = [m for m in network.modules() if isinstance(m, _NormBase) and m.training and m.track_running_stats]
    for layer in tracking:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True


def reject_single_values(network: nn.Module, advice: str) -> list[RemovableHandle]:
    """Register hooks that raise an error for batch normalization of one value per channel in training mode.

    This occurs for batches of one sample if the input of the layer is a vector or maps of one pixel. PyTorch's
    ``ValueError`` names neither layer nor cause.

    Args:
        network: module; its batch normalization layers get a hook.
        advice: how to fix the error, for its message.

    Returns:
        Handles of the hooks, to be removed after the forward pass.

    Example:
        >>> handles = reject_single_values(nn.Sequential(nn.BatchNorm1d(2)), "use larger batches")
        >>> for handle in handles:
        ...     handle.remove()
    """
    handles: list[RemovableHandle] = []

    def check(name: str, layer: _BatchNorm, inputs: Any) -> None:
        if (layer.training or layer.running_mean is None) and inputs.numel() == inputs.shape[1]:
            for handle in handles:
                handle.remove()
            raise ConfigurationError(
                f"{name} ({type(layer).__name__}): got one value per channel in training, expected at least 2; {advice}"
            )

    for name, layer in network.named_modules():
        # SyncBatchNorm also uses the values of other processes.
        if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm):
            handles.append(
                layer.register_forward_pre_hook(lambda layer, inputs, name=name: check(name, layer, inputs[0]))
            )
    return handles
