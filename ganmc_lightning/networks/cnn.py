"""The five-layer CNN of GAN-MC."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import FeatureClassifier


class FiveLayerCNN(FeatureClassifier):
    """Three 3x3 convolutions and two linear layers (GAN-MC, section 3, "5-layer CNN").

    Each convolution is followed by ReLU and max pooling by 2. The paper does not state sizes; the default, 64-128-256
    channels and 512 units, has 2,473,610 parameters on CIFAR-10.

    Args:
        in_channels: number of image channels.
        image_size: side of the square image in pixels, 8 or more.
        num_classes: number of classes.
        widths: channels of the three convolutions and units of the hidden linear layer.
        dropout: dropout probability before each linear layer (default: 0); prevents overfitting on few images.
        batch_norm: whether to use batch normalization after each convolution (default: False).

    Raises:
        ConfigurationError: ``image_size`` is too small for three poolings.

    Example:
        >>> import torch
        >>> network = FiveLayerCNN(in_channels=1, image_size=8, widths=(4, 8, 8, 16))
        >>> network(torch.zeros(2, 1, 8, 8)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 1234)
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        num_classes: int = 10,
        widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if image_size < 8:
            raise ConfigurationError(f"image_size: got {image_size}, expected at least 8 for a five-layer CNN")
        *channels, hidden = widths
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise([in_channels, *channels]):
            layers.append(nn.Conv2d(size_in, size_out, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(size_out))
            # Max pooling before ReLU: both orders are equivalent, and ReLU then has four times fewer inputs.
            layers += [nn.MaxPool2d(2), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels[-1] * (image_size // 8) ** 2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(hidden, num_classes)
