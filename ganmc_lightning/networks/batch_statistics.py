"""Running statistics of batch normalisation that hold still for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Let a network in training mode be asked once more about a batch without its running statistics moving.

    Batches are normalised by their own statistics all the same. Layers without running statistics are left alone.

    Example:
        >>> import torch
        >>> layer = nn.BatchNorm1d(2)
        >>> with kept_statistics(layer):
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
