"""Pre-activation residual networks (He et al. 2016b, "Identity Mappings in Deep Residual Networks")."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ganmc_lightning.networks.base import FeatureClassifier
from ganmc_lightning.networks.resnet import blocks_per_stage, conv3x3, init_kaiming


class PreActResNet(FeatureClassifier):
    """Pre-activation residual network for images of 32 pixels (He et al. 2016b, section 4).

    A 3x3 convolution to 16 channels, three stages of n blocks, batch normalization, ReLU, global average pooling and a
    linear layer. Bottleneck blocks have 64, 128 and 256 output channels and a depth of 9n+2; basic blocks have 16, 32
    and 64 output channels and a depth of 6n+2.

    On CIFAR-10, ResNet-164 has 1,703,258 parameters with bottlenecks (He et al.: 1.7M) and 2,605,466 with basic blocks.
    The latter is the teacher of ANC: 2.6M parameters and 97.49B FLOPs in its table 3 (here 97.4B for a batch of 128,
    two per multiply-add).

    Args:
        depth: number of weighted layers on the longest path, 9n+2 or 6n+2 (default: 164).
        in_channels: number of image channels.
        num_classes: number of classes.
        bottleneck: whether blocks have 1x1, 3x3 and 1x1 convolutions (default), or two 3x3 convolutions.

    Raises:
        ConfigurationError: ``depth`` is not 9n+2 (bottleneck) or 6n+2 (basic).

    Example:
        >>> import torch
        >>> network = PreActResNet(depth=20, bottleneck=False)
        >>> network(torch.zeros(2, 3, 32, 32)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 272282)
    """

    def __init__(self, depth: int = 164, in_channels: int = 3, num_classes: int = 10, bottleneck: bool = True) -> None:
        super().__init__()
        layers, widen_factor = (3, 4) if bottleneck else (2, 1)
        blocks = blocks_per_stage(depth, layers_per_block=layers)
        self.features, channels = preact_features(
            in_channels, blocks, widen_factor, PreActBottleneck if bottleneck else PreActBlock
        )
        self.classifier = nn.Linear(channels, num_classes)
        init_kaiming(self)


def preact_features(
    in_channels: int, blocks: int, widen_factor: int, make_block: Callable[[int, int, int], nn.Module]
) -> tuple[nn.Sequential, int]:
    """Build a 3x3 convolution, three stages of pre-activation blocks and global average pooling.

    Args:
        in_channels: number of image channels.
        blocks: number of blocks per stage.
        widen_factor: factor of the output channels 16, 32 and 64 of the stages.
        make_block: function of input channels, output channels and stride that returns a block.

    Returns:
        The layers from images to feature vectors, and the length of the vectors.
    """
    stages: list[nn.Module] = []
    channels = 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        stages.append(make_block(channels, width * widen_factor, stride))
        channels = width * widen_factor
        stages += [make_block(channels, channels, 1) for _ in range(blocks - 1)]
    layers = (nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(conv3x3(in_channels, 16), *stages, *layers), channels


class _PreActivation(nn.Module):
    """Residual block; its shortcut is the input, or a projection of the activated input."""

    activation: nn.Module
    residual: nn.Module
    projection: nn.Module | None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        activated = self.activation(inputs)
        shortcut = inputs if self.projection is None else self.projection(activated)
        outputs: Tensor = self.residual(activated) + shortcut
        return outputs


class PreActBlock(_PreActivation):
    """Two 3x3 convolutions, each after batch normalization and ReLU (He et al. 2016b, figure 1b).

    With dropout between the convolutions it is the block B(3, 3) of Zagoruyko and Komodakis (2016).

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        stride: stride of the first convolution; 2 halves the side.
        dropout: dropout probability before the second convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.activation = _activation(in_channels)
        self.residual = nn.Sequential(
            conv3x3(in_channels, out_channels, stride),
            _activation(out_channels),
            nn.Dropout(dropout),
            conv3x3(out_channels, out_channels),
        )
        self.projection = _projection(in_channels, out_channels, stride)


class PreActBottleneck(_PreActivation):
    """1x1, 3x3 and 1x1 convolutions, each after batch normalization and ReLU.

    The inner layers have a quarter of the output channels, and the first convolution is strided, as in the code of He
    et al. 2016b.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels, a multiple of 4.
        stride: stride of the first convolution; 2 halves the side.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        middle = out_channels // 4
        self.activation = _activation(in_channels)
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, middle, 1, stride=stride, bias=False),
            _activation(middle),
            conv3x3(middle, middle),
            _activation(middle),
            nn.Conv2d(middle, out_channels, 1, bias=False),
        )
        self.projection = _projection(in_channels, out_channels, stride)


def _activation(channels: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """Return the 1x1 convolution for a shortcut to another shape, applied to the activated input; else None."""
    if in_channels == out_channels and stride == 1:
        return None
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
