"""Wide residual networks, the teacher of GAN-MC's third pair."""

from __future__ import annotations

from torch import Tensor, nn

from ganmc_lightning.networks.preact_resnet import PreActBlock
from ganmc_lightning.networks.resnet import blocks_per_stage, conv3x3, init_kaiming


class WideResNet(nn.Module):
    """WRN-depth-widen_factor of Zagoruyko and Komodakis (2016), table 1.

    A 3x3 convolution to 16 maps, three stages of n pre-activation blocks with 16k, 32k and 64k maps, batch
    normalization, ReLU, global average pooling and a linear layer. WRN-28-10 has 36,479,194 parameters on
    CIFAR-10, the paper's 36.5M.

    Args:
        depth: number of weighted layers, 6n+4 (the paper counts the projections of the shortcuts).
        widen_factor: k.
        dropout: drop-out probability between the convolutions of a block; the paper tries 0.3.
        in_channels: color channels.
        num_classes: classes it tells apart.

    Raises:
        ConfigurationError: ``depth`` is not 6n+4.

    Example:
        >>> import torch
        >>> WideResNet(depth=10, widen_factor=1)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        depth: int = 28,
        widen_factor: int = 10,
        dropout: float = 0.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        blocks = blocks_per_stage(depth, layers_per_block=2, other_layers=4)
        stages: list[nn.Module] = []
        channels = 16
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            stages.append(PreActBlock(channels, width * widen_factor, stride, dropout))
            channels = width * widen_factor
            stages += [PreActBlock(channels, channels, 1, dropout) for _ in range(blocks - 1)]
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
