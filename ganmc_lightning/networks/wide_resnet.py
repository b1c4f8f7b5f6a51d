"""Wide residual networks, the teacher of GAN-MC's third pair."""

from __future__ import annotations

from functools import partial

from torch import nn

from ganmc_lightning.networks.base import FeatureClassifier
from ganmc_lightning.networks.preact_resnet import PreActBlock, preact_features
from ganmc_lightning.networks.resnet import blocks_per_stage, init_kaiming


class WideResNet(FeatureClassifier):
    """Wide residual network WRN-<depth>-<widen_factor> (Zagoruyko and Komodakis 2016, table 1).

    A 3x3 convolution to 16 channels, three stages of n pre-activation blocks with 16k, 32k and 64k channels, batch
    normalization, ReLU, global average pooling and a linear layer. WRN-28-10 has 36,479,194 parameters on CIFAR-10
    (36.5M in the paper).

    Args:
        depth: number of weighted layers, 6n+4 (including the projections of the shortcuts, as in the paper).
        widen_factor: k, factor of the numbers of channels.
        dropout: dropout probability between the convolutions of a block; the paper uses 0.3.
        in_channels: number of image channels.
        num_classes: number of classes.

    Raises:
        ConfigurationError: ``depth`` is not 6n+4.

    Example:
        >>> import torch
        >>> network = WideResNet(depth=10, widen_factor=1)
        >>> network(torch.zeros(2, 3, 32, 32)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 77850)
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
        self.features, channels = preact_features(
            in_channels, blocks, widen_factor, partial(PreActBlock, dropout=dropout)
        )
        self.classifier = nn.Linear(channels, num_classes)
        init_kaiming(self)
