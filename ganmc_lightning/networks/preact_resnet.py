"""Residual networks with pre-activation (He et al. 2016b, "Identity Mappings in Deep Residual Networks")."""

from __future__ import annotations

from torch import Tensor, nn

from ganmc_lightning.networks.resnet import blocks_per_stage, conv3x3, init_kaiming


class PreActResNet(nn.Module):
    """The pre-activation residual network for 32-pixel images of He et al. 2016b, section 4.

    A 3x3 convolution to 16 maps, three stages of n blocks, batch normalization, ReLU, global average
    pooling and a linear layer. Bottleneck blocks end in 64, 128 and 256 maps and make a depth of 9n+2;
    basic blocks end in 16, 32 and 64 maps and make a depth of 6n+2.

    On CIFAR-10 ResNet-164 has 1,703,258 parameters with bottlenecks, He's 1.7M, and 2,605,466 with basic
    blocks. The latter is ANC's teacher: its table 3 has 2.6M parameters and 97.49B floating-point operations
    (ours: 97.4B for a batch of 128, two for each multiply-add).

    Args:
        depth: number of weighted layers on the longest path.
        in_channels: color channels.
        num_classes: classes it tells apart.
        bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions instead of two of 3x3.

    Raises:
        ConfigurationError: ``depth`` is not 9n+2 (bottleneck) or 6n+2 (basic).

    Example:
        >>> import torch
        >>> PreActResNet(depth=11)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, depth: int = 164, in_channels: int = 3, num_classes: int = 10, bottleneck: bool = True) -> None:
        super().__init__()
        block, layers, widening = (PreActBottleneck, 3, 4) if bottleneck else (PreActBlock, 2, 1)
        blocks = blocks_per_stage(depth, layers_per_block=layers)
        stages: list[nn.Module] = []
        channels = 16
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            stages.append(block(channels, width * widening, stride))
            channels = width * widening
            stages += [block(channels, channels, 1) for _ in range(blocks - 1)]
        self.features = nn.Sequential(
            conv3x3(in_channels, 16),
            *stages,
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(channels, num_classes)
        init_kaiming(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each behind its own batch normalization and ReLU (He et al. 2016b, figure 1b).

    With dropout between the convolutions it is the wide block B(3, 3) of Zagoruyko and Komodakis (2016).

    Args:
        in_channels: maps that come in.
        out_channels: maps that go out.
        stride: 2 halves the side.
        dropout: drop-out probability before the second convolution.
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

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        activated = self.activation(inputs)
        shortcut = inputs if self.projection is None else self.projection(activated)
        outputs: Tensor = self.residual(activated) + shortcut
        return outputs


class PreActBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each behind its own batch normalization and ReLU.

    The middle has a quarter of the outgoing maps, and the first convolution carries the stride, as in the
    code of He et al. 2016b.

    Args:
        in_channels: maps that come in.
        out_channels: maps that go out, a multiple of 4.
        stride: 2 halves the side.
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

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        activated = self.activation(inputs)
        shortcut = inputs if self.projection is None else self.projection(activated)
        outputs: Tensor = self.residual(activated) + shortcut
        return outputs


def _activation(channels: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """The 1x1 convolution of a shortcut whose shape changes; it reads the activated input."""
    if in_channels == out_channels and stride == 1:
        return None
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
