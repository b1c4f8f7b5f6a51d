"""Batch normalization: running statistics that are kept for a while, and batches of a single value."""

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
    """Let a network in training mode be asked once more about a batch without its running statistics moving.

    Batches are normalised by their own statistics all the same. Layers without running statistics are left alone.

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


def refuse_single_values(network: nn.Module, advice: str) -> list[RemovableHandle]:
    """Make batch normalization of a single value per channel a :class:`ConfigurationError` that names the layer.

    A value minus its own mean is 0: in training mode PyTorch raises a ``ValueError`` that names neither layer nor
    cause. It happens where a batch holds one sample and the layer's input is a vector or maps of one pixel.

    Args:
        network: whose batch normalization layers are watched.
        advice: what to change, for the message.

    Returns:
        Handles; remove them after the forward pass.

    Example:
        >>> handles = refuse_single_values(nn.Sequential(nn.BatchNorm1d(2)), "use larger batches")
        >>> for handle in handles:
        ...     handle.remove()
    """
    handles: list[RemovableHandle] = []

    def check(name: str, layer: _BatchNorm, inputs: Any) -> None:
        if (layer.training or layer.running_mean is None) and inputs.numel() == inputs.shape[1]:
            for handle in handles:
                handle.remove()
            raise ConfigurationError(
                f"{name} ({type(layer).__name__}) got one value per channel, expected two or more in training: {advice}"
            )

    for name, layer in network.named_modules():
        # SyncBatchNorm also takes in the values of other processes.
        if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm):
            handles.append(
                layer.register_forward_pre_hook(lambda layer, inputs, name=name: check(name, layer, inputs[0]))
            )
    return handles
