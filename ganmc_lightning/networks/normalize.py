"""Normalization of images in [-1, 1] for networks trained on other statistics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class Normalize(nn.Module):
    """Convert images in [-1, 1] to the inputs of a network trained on other statistics, e.g. torchvision's ImageNet.

    ``((x + 1) / 2 - mean) / std``: images in [0, 1] are standardized per channel.

    The statistics are not in the state dict: they are defined only by the arguments.

    Args:
        mean: mean of each channel, for images in [0, 1].
        std: standard deviation of each channel, for images in [0, 1].

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
            raise ConfigurationError(f"mean and std: got {len(mean)} and {len(std)} values, expected one per channel")
        if not all(value > 0 for value in std):
            raise ConfigurationError(f"std: got {tuple(std)}, expected positive values")
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Standardize images (N, C, H, W) in [-1, 1].

        Raises:
            ConfigurationError: C is not the number of means; one value is not used for all channels.
        """
        if inputs.shape[-3] != len(self.mean):
            raise ConfigurationError(
                f"mean and std: got {len(self.mean)} values for images with {inputs.shape[-3]} channels, expected one "
                "per channel"
            )
        return ((inputs + 1) / 2 - self.mean) / self.std
