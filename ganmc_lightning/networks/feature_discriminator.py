"""Discriminators that classify features as the teacher's or the student's (ANC)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Discriminator


class FeatureDiscriminator(Discriminator):
    """Linear layers with ReLU and one logit, high for features of the teacher (ANC, section 3.4 and table 1).

    There is no normalization, because batch statistics would reveal whether features are the teacher's or the
    student's.

    Args:
        in_features: number of features per sample; maps are flattened.
        hidden: units of each hidden layer (default: the paper's choice). The paper's table 1 also lists 64-128-256,
            256-256, 256-128-64, 64-128-128-64, 500-500, 256-256-64, 64-64 and 128-128-128.

    Raises:
        ConfigurationError: a size is not positive, or ``hidden`` is empty.

    Example:
        >>> import torch
        >>> discriminator = FeatureDiscriminator(in_features=64)
        >>> discriminator(torch.zeros(2, 64)).shape, sum(p.numel() for p in discriminator.parameters())
        (torch.Size([2]), 74369)
    """

    def __init__(self, in_features: int, hidden: tuple[int, ...] = (128, 256, 128)) -> None:
        super().__init__()
        _check_widths("hidden", (in_features, *hidden))
        layers: list[nn.Module] = [nn.Flatten()]
        for size_in, size_out in pairwise((in_features, *hidden)):
            layers += [nn.Linear(size_in, size_out), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N,) of features (N, ...) with ``in_features`` values per sample."""
        logits: Tensor = self.layers(inputs)
        return logits.squeeze(1)


class ConvFeatureDiscriminator(Discriminator):
    """3x3 convolutions with ReLU, global average pooling and one logit, high for the teacher (ANC, table 1).

    This is the paper's "128conv - 256conv". The paper does not define its input; here it is feature maps of a layer
    before the pooling, or a vector, which is treated as maps of one pixel. Each convolution except the first has stride
    2.

    Args:
        in_channels: number of channels of the features.
        widths: number of channels of each convolution.

    Raises:
        ConfigurationError: a size is not positive, or ``widths`` is empty.

    Example:
        >>> import torch
        >>> discriminator = ConvFeatureDiscriminator(in_channels=16, widths=(4, 8))
        >>> discriminator(torch.zeros(2, 16, 8, 8)).shape, sum(p.numel() for p in discriminator.parameters())
        (torch.Size([2]), 885)
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


def _check_widths(name: str, widths: tuple[int, ...]) -> None:
    if len(widths) < 2 or min(widths) < 1:
        raise ConfigurationError(
            f"{name}: got {widths} including the input, expected positive sizes and at least one hidden layer"
        )
