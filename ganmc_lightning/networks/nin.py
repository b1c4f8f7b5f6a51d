"""Network in Network, a teacher of GAN-MC and of ANC."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import FeatureClassifier


class NIN(FeatureClassifier):
    """Network in Network (Lin et al. 2014), as in GAN-MC's released code.

    Three blocks of convolutions with ReLU, the first of each block with the given kernel and the others 1x1: 192-160-96
    (5x5), max pooling 3/2, dropout; 192-192-192 (5x5), average pooling 3/2, dropout; 192-192 (3x3). A hidden linear
    layer with ReLU and a linear layer follow, instead of the global average pooling of Lin et al. Batch
    normalization is not used. Convolutions preserve the side; each pooling halves it and rounds it down: 32 becomes
    16 and then 8, 9 becomes 4 and then 2.

    The default ``hidden`` has 10,600,522 parameters on 28x28 gray images, the 10.6M of ANC's table 6, and 13,559,242 on
    CIFAR-10.

    Args:
        in_channels: number of image channels.
        image_size: side of the square image in pixels, 8 or more.
        num_classes: number of classes.
        hidden: units of the hidden linear layer.
        dropout: dropout probability after each pooling (default: 0.5, as in the authors' code).

    Raises:
        ConfigurationError: ``image_size`` is less than 8.

    Example:
        >>> import torch
        >>> network = NIN(in_channels=1, image_size=28)
        >>> network(torch.zeros(2, 1, 28, 28)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 10600522)
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        num_classes: int = 10,
        hidden: int = 1024,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if image_size < 8:
            raise ConfigurationError(f"image_size: got {image_size}, expected at least 8 for NIN")
        self.features = nn.Sequential(
            *_block(5, in_channels, 192, 160, 96),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            nn.Dropout(dropout),
            *_block(5, 96, 192, 192, 192),
            nn.AvgPool2d(3, stride=2, ceil_mode=True),
            nn.Dropout(dropout),
            *_block(3, 192, 192, 192),
            nn.Flatten(),
            nn.Linear(192 * (image_size // 2 // 2) ** 2, hidden),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(hidden, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # PyTorch's default reduces the variance at each ReLU, too much for ten layers without normalization.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def _block(kernel_size: int, *sizes: int) -> list[nn.Module]:
    """A convolution followed by 1x1 convolutions, each with ReLU."""
    layers: list[nn.Module] = []
    for k, (size_in, size_out) in enumerate(pairwise(sizes)):
        kernel = kernel_size if k == 0 else 1
        layers += [nn.Conv2d(size_in, size_out, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
    return layers
