"""The plain five-layer CNN of GAN-MC's second pair."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class FiveLayerCNN(nn.Module):
    """Three 3x3 convolutions and two dense layers (GAN-MC section 3, "5-layer CNN").

    Each convolution is followed by ReLU and max-pooling by 2. The paper gives no sizes; the default
    64-128-256 and 512 units has 2,473,610 parameters on CIFAR-10.

    Args:
        in_channels: color channels.
        image_size: side of the square image, 8 or more.
        num_classes: classes it tells apart.
        widths: channels of the three convolutions and units of the hidden dense layer.
        dropout: drop-out probability before each dense layer. A teacher on few images overfits without.
        batch_norm: normalize after each convolution. A teacher trains to a higher accuracy in fewer steps.

    Raises:
        ConfigurationError: ``image_size`` is too small for three poolings.

    Example:
        >>> import torch
        >>> FiveLayerCNN(in_channels=1, image_size=8, widths=(4, 8, 8, 16))(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
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
            raise ConfigurationError(f"image_size must be at least 8 for a five-layer CNN, got {image_size}")
        *channels, hidden = widths
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise([in_channels, *channels]):
            layers.append(nn.Conv2d(size_in, size_out, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(size_out))
            # ReLU and max-pooling commute; this order has four times fewer values to rectify.
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

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits
