"""From the project's one value range to the statistics another network was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class Normalize(nn.Module):
    """A first layer for networks that want other inputs than [-1, 1], such as torchvision's ImageNet ones.

    Takes images to [0, 1], subtracts the mean of each channel and divides by its standard deviation:
    ``((x + 1) / 2 - mean) / std``.

    The statistics are arguments, not weights: they are no part of the state dict, so that there are never
    two of them that could disagree.

    Args:
        mean: of each channel, for images in [0, 1].
        std: of each channel, for images in [0, 1].

    Raises:
        ConfigurationError: ``mean`` and ``std`` differ in length, or a ``std`` is not positive.

    Example:
        >>> network = nn.Sequential(Normalize((0.5,), (0.25,)), nn.Identity())
        >>> network(torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)).flatten()
        tensor([-2.,  0.,  2.])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise ConfigurationError(f"mean and std must have one value a channel, got {len(mean)} and {len(std)}")
        if not all(value > 0 for value in std):
            raise ConfigurationError(f"std must be positive in every channel, got {tuple(std)}")
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return standardised images (N, C, H, W) for images (N, C, H, W) in [-1, 1]."""
        return ((inputs + 1) / 2 - self.mean) / self.std
