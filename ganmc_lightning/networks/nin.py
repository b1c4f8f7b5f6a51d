"""Network in Network, the teacher of GAN-MC's first pair and of ANC on Fashion-MNIST."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class NIN(nn.Module):
    """Network in Network (Lin et al. 2014) in the variant of GAN-MC's released code.

    Three blocks of convolutions with ReLU, the first of each block with the kernel named and the others
    1x1: 192-160-96 (5x5), maxpool 3/2, dropout; 192-192-192 (5x5), avgpool 3/2, dropout; 192-192 (3x3).
    Then, where Lin et al. average over the maps, a hidden dense layer with ReLU and the logits. There is
    no batch normalization. Convolutions keep the side, and the last window of a pool may hang over the edge:
    32 becomes 16 and then 8.

    The default ``hidden`` gives 10,600,522 parameters on 28x28 gray images, the 10.6M of ANC's table 6;
    on CIFAR-10 it gives 13,559,242.

    Args:
        in_channels: color channels.
        image_size: side of the square image, 8 or more.
        num_classes: classes it tells apart.
        hidden: units of the hidden dense layer.
        dropout: drop-out probability after each of the two pools; 0.5 in the authors' code.

    Raises:
        ConfigurationError: ``image_size`` is below 8.
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
            raise ConfigurationError(f"image_size must be at least 8 for NIN, got {image_size}")
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
                # PyTorch's default shrinks the signal at each ReLU: too much for ten layers without
                # normalization.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


def _block(kernel_size: int, *sizes: int) -> list[nn.Module]:
    """A convolution and 1x1 convolutions behind it, each with ReLU."""
    layers: list[nn.Module] = []
    for k, (size_in, size_out) in enumerate(pairwise(sizes)):
        kernel = kernel_size if k == 0 else 1
        layers += [nn.Conv2d(size_in, size_out, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
    return layers
