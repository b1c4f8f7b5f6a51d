"""Discriminators that tell by its features whether the teacher or the student has seen a sample (ANC)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Discriminator


class FeatureDiscriminator(Discriminator):
    """Dense layers with ReLU and one logit, high for the teacher (ANC, section 3.4 and table 1).

    ``hidden=(128, 256, 128)`` is the paper's choice. Its table 1 also has 64-128-256, 256-256, 256-128-64,
    64-128-128-64, 500-500, 256-256-64, 64-64 and 128-128-128. There is no normalization: statistics of a batch would
    give away whose features it holds.

    Args:
        in_features: numbers in one sample's features; maps are flattened.
        hidden: units of each hidden layer.

    Raises:
        ConfigurationError: a size is not positive, or there is no hidden layer.

    Example:
        >>> import torch
        >>> FeatureDiscriminator(in_features=64)(torch.zeros(2, 64)).shape
        torch.Size([2])
    """

    def __init__(self, in_features: int, hidden: tuple[int, ...] = (128, 256, 128)) -> None:
        super().__init__()
        _check_widths("hidden", (in_features, *hidden))
        layers: list[nn.Module] = [nn.Flatten()]
        for size_in, size_out in pairwise((in_features, *hidden)):
            layers += [nn.Linear(size_in, size_out), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N,) of features (N, ...) with ``in_features`` numbers each."""
        logits: Tensor = self.layers(inputs)
        return logits.squeeze(1)


class ConvFeatureDiscriminator(Discriminator):
    """3x3 convolutions with ReLU, global average pooling and one logit, high for the teacher (ANC, table 1).

    The paper's "128conv - 256conv"; it does not say what is convolved. Here it is feature maps, so name a layer in
    front of the pooling. A vector counts as maps of one pixel. Each convolution but the first halves the side.

    Args:
        in_channels: maps of the features.
        widths: maps of each convolution.

    Raises:
        ConfigurationError: a size is not positive, or there is no convolution.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...] = (128, 256)) -> None:
        super().__init__()
        _check_widths("widths", (in_channels, *widths))
        layers: list[nn.Module] = []
        for k, (size_in, size_out) in enumerate(pairwise((in_channels, *widths))):
            layers += [nn.Conv2d(size_in, size_out, 3, stride=min(k, 1) + 1, padding=1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N,) of feature maps (N, in_channels, H, W) or features (N, in_channels)."""
        maps = inputs if inputs.dim() == 4 else inputs[:, :, None, None]
        logits: Tensor = self.layers(maps)
        return logits.squeeze(1)


class RandomProjection(nn.Module):
    """A random projection that nobody trains, from one number of features to another.

    The matrix has orthonormal rows or columns, whichever are fewer, and is drawn from a seed of its own: it is no
    part of a checkpoint.

    Args:
        in_features: numbers that come in.
        out_features: numbers that go out.
        seed: of the draw.

    Example:
        >>> RandomProjection(8, 3)(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """

    weight: Tensor

    def __init__(self, in_features: int, out_features: int, seed: int = 0) -> None:
        super().__init__()
        weight = torch.empty(out_features, in_features)
        nn.init.orthogonal_(weight, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        return nn.functional.linear(inputs, self.weight)


def _check_widths(name: str, widths: tuple[int, ...]) -> None:
    if len(widths) < 2 or min(widths) < 1:
        raise ConfigurationError(
            f"a discriminator of features needs positive sizes and a hidden layer, got {name} {widths}"
        )
