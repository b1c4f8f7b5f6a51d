"""LeNets, the students of GAN-MC (CIFAR-10) and ANC (Fashion-MNIST)."""

from __future__ import annotations

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import FeatureClassifier


class LeNet(FeatureClassifier):
    """LeNet *without* ReLU after its convolutions, the student of GAN-MC's first pair.

    conv 5x5 - maxpool 2 - conv 5x5 - maxpool 2 - linear - ReLU - linear, without padding, as in the authors' released
    code: images of 32 pixels become maps of 5x5.

    Args:
        in_channels: number of image channels.
        image_size: side of the square image in pixels, 16 or more.
        num_classes: number of classes.
        widths: channels of both convolutions and units of the hidden linear layer (default: the authors').

    Raises:
        ConfigurationError: ``image_size`` is too small for two unpadded 5x5 convolutions with pooling.

    Example:
        >>> import torch
        >>> network = LeNet(widths=(4, 8, 16))
        >>> network(torch.zeros(2, 3, 32, 32)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 4498)
    """

    _convolution_relu = False

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        num_classes: int = 10,
        widths: tuple[int, int, int] = (64, 128, 1024),
    ) -> None:
        super().__init__()
        first, second, hidden = widths
        # Max pooling before ReLU: both orders are equivalent, and ReLU then has four times fewer inputs.
        layers: list[nn.Module] = []
        for size_in, size_out in ((in_channels, first), (first, second)):
            layers += [nn.Conv2d(size_in, size_out, 5), nn.MaxPool2d(2)]
            if self._convolution_relu:
                layers.append(nn.ReLU(inplace=True))
        self.features = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(second * _side_after_pooling(image_size) ** 2, hidden),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(hidden, num_classes)


class LeNet4(LeNet):
    """LeNet-4 with ReLU and max pooling, the Fashion-MNIST student of ANC (section 3.4).

    conv 5x5 - maxpool 2 - ReLU - conv 5x5 - maxpool 2 - ReLU - linear - ReLU - linear, without padding. LeCun et al.
    (1998, section III.D) use equal widths, but trainable subsampling, squashing functions and a sparse second
    convolution.

    ANC does not state the widths. ``widths=(64, 128, 1024)`` has 2,315,018 parameters on 28x28 gray images, the 2.3M of
    its table 6, and 7.06B FLOPs (two per multiply-add) for a batch of 128 color images of 32 pixels, as in the table.

    Args:
        in_channels: number of image channels.
        image_size: side of the square image in pixels, 16 or more.
        num_classes: number of classes.
        widths: channels of both convolutions and units of the hidden linear layer (default: LeCun's, 33,770 parameters
            on 28x28 gray images).

    Raises:
        ConfigurationError: ``image_size`` is too small for two unpadded 5x5 convolutions with pooling.

    Example:
        >>> import torch
        >>> network = LeNet4()
        >>> network(torch.zeros(2, 1, 28, 28)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 33770)
    """

    _convolution_relu = True

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 28,
        num_classes: int = 10,
        widths: tuple[int, int, int] = (4, 16, 120),
    ) -> None:
        super().__init__(in_channels, image_size, num_classes, widths)


def _side_after_pooling(image_size: int) -> int:
    """Side of the maps after two unpadded 5x5 convolutions, each followed by pooling by 2."""
    side = ((image_size - 4) // 2 - 4) // 2
    if side < 1:
        raise ConfigurationError(f"image_size: got {image_size}, expected at least 16 for a LeNet")
    return side
