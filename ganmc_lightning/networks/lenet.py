"""LeNets: the students of GAN-MC (CIFAR-10) and of ANC (Fashion-MNIST)."""

from __future__ import annotations

from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class LeNet(nn.Module):
    """The student of GAN-MC's first pair: two convolutions *without* non-linearity, two dense layers.

    conv 5x5 - maxpool 2 - conv 5x5 - maxpool 2 - dense - ReLU - dense, as in the authors' released code.
    The convolutions do not pad there ("valid"), nor do they here: 32 pixels leave 5x5 maps.

    Args:
        in_channels: color channels.
        image_size: side of the square image, 16 or more.
        num_classes: classes it tells apart.
        widths: channels of the two convolutions and units of the hidden dense layer; the default is the
            authors'.

    Raises:
        ConfigurationError: ``image_size`` is too small for two unpadded 5x5 convolutions with pooling.

    Example:
        >>> import torch
        >>> LeNet(widths=(4, 8, 16))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        num_classes: int = 10,
        widths: tuple[int, int, int] = (64, 128, 1024),
    ) -> None:
        super().__init__()
        first, second, hidden = widths
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 5),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * _side_after_pooling(image_size) ** 2, hidden),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


class LeNet4(nn.Module):
    """LeNet-4 in today's dress, the Fashion-MNIST student of ANC (section 3.4).

    conv 5x5 - maxpool 2 - ReLU - conv 5x5 - maxpool 2 - ReLU - dense - ReLU - dense, without padding.
    LeCun et al. (1998, section III.D) have the same maps and units, but learned subsampling, squashing
    functions and a sparse second convolution.

    ANC does not give its widths. ``widths=(64, 128, 1024)`` has 2,315,018 parameters on 28x28 gray images,
    the 2.3M of its table 6, and one batch of 128 color images of 32 pixels costs the table's 7.06B
    floating-point operations (two for each multiply-add).

    Args:
        in_channels: color channels.
        image_size: side of the square image, 16 or more.
        num_classes: classes it tells apart.
        widths: channels of the two convolutions and units of the hidden dense layer; the default is
            LeCun's and has 33,770 parameters on 28x28.

    Raises:
        ConfigurationError: ``image_size`` is too small for two unpadded 5x5 convolutions with pooling.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 28,
        num_classes: int = 10,
        widths: tuple[int, int, int] = (4, 16, 120),
    ) -> None:
        super().__init__()
        first, second, hidden = widths
        # ReLU and max-pooling commute; this order has four times fewer values to rectify.
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(second * _side_after_pooling(image_size) ** 2, hidden),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


def _side_after_pooling(image_size: int) -> int:
    """Side of the maps after two rounds of an unpadded 5x5 convolution and pooling by 2."""
    side = ((image_size - 4) // 2 - 4) // 2
    if side < 1:
        raise ConfigurationError(f"image_size must be at least 16 for a LeNet, got {image_size}")
    return side
