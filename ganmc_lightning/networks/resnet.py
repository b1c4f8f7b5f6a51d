"""Residual networks for small images (He et al. 2016a)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import FeatureClassifier


class CIFARResNet(FeatureClassifier):
    """Residual network of 6n+2 layers for images of 32 pixels (He et al. 2016a, CVPR, section 4.2).

    A 3x3 convolution to 16 channels, three stages of n basic blocks with 16, 32 and 64 channels (the second and third
    halve the side), global average pooling and a linear layer. Shortcuts have no parameters (the paper's option A:
    subsampling, new channels are zero).

    ========  ===========  ==================
    depth     parameters   paper's table 6
    ========  ===========  ==================
    20        269,722      0.27M
    32        464,154      0.46M
    56        853,018      0.85M
    110       1,727,962    1.7M
    ========  ===========  ==================

    Args:
        depth: number of weighted layers, 6n+2.
        in_channels: number of image channels.
        num_classes: number of classes.

    Raises:
        ConfigurationError: ``depth`` is not 6n+2.

    Example:
        >>> import torch
        >>> network = CIFARResNet(depth=20)
        >>> network(torch.zeros(2, 3, 32, 32)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 269722)
    """

    def __init__(self, depth: int = 20, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        blocks = blocks_per_stage(depth, layers_per_block=2)
        self.features = nn.Sequential(
            conv3x3(in_channels, 16),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            *_stages((16, 32, 64), blocks, _PaddedShortcut),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(64, num_classes)
        init_kaiming(self)


class ResNet18(FeatureClassifier):
    """ResNet-18 (He et al. 2016a, table 1) with a stem for small images.

    The stem is a 3x3 convolution of stride 1: a 7x7 convolution and max pooling would reduce images of 32 pixels to one
    pixel. Four stages of two basic blocks with 64, 128, 256 and 512 channels follow. Shortcuts with another output
    shape are 1x1 convolutions (option B).

    Args:
        in_channels: number of image channels.
        num_classes: number of classes.

    Example:
        >>> import torch
        >>> network = ResNet18()
        >>> network(torch.zeros(2, 3, 32, 32)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 11173962)
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv3x3(in_channels, 64),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            *_stages((64, 128, 256, 512), 2, _projected_shortcut),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(512, num_classes)
        init_kaiming(self)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions plus a shortcut, ReLU after the sum (He et al. 2016a, equation 1).

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        stride: stride of the first convolution; 2 halves the side.
        shortcut: module that maps the input to the shape of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            conv3x3(in_channels, out_channels, stride),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            conv3x3(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return F.relu(self.residual(inputs) + self.shortcut(inputs), inplace=True)


def _stages(channels: tuple[int, ...], blocks: int, make_shortcut: Callable[[int, int], nn.Module]) -> list[nn.Module]:
    """Build stages of basic blocks; each stage after the first halves the side."""
    layers: list[nn.Module] = [BasicBlock(channels[0], channels[0], 1, nn.Identity()) for _ in range(blocks)]
    for size_in, size_out in pairwise(channels):
        layers.append(BasicBlock(size_in, size_out, 2, make_shortcut(size_in, size_out)))
        layers += [BasicBlock(size_out, size_out, 1, nn.Identity()) for _ in range(blocks - 1)]
    return layers


class _PaddedShortcut(nn.Module):
    """Shortcut of option A: select every second pixel; new channels are zero."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.new_channels = out_channels - in_channels

    def forward(self, inputs: Tensor) -> Tensor:
        return F.pad(inputs[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))


def _projected_shortcut(in_channels: int, out_channels: int) -> nn.Module:
    """Return a shortcut of option B: 1x1 convolution of stride 2 with batch normalization."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False), nn.BatchNorm2d(out_channels))


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Build a 3x3 convolution that keeps (stride 1) or halves the side, without bias because normalization follows."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def blocks_per_stage(depth: int, layers_per_block: int, other_layers: int = 2) -> int:
    """Return the number of blocks per stage of a three-stage network with ``depth`` weighted layers.

    Raises:
        ConfigurationError: no number of blocks results in this depth.

    Example:
        >>> blocks_per_stage(164, layers_per_block=3)
        18
    """
    blocks, rest = divmod(depth - other_layers, 3 * layers_per_block)
    if blocks < 1 or rest:
        raise ConfigurationError(f"depth: got {depth}, expected {3 * layers_per_block}n+{other_layers} with n >= 1")
    return blocks


def init_kaiming(network: nn.Module) -> None:
    """Initialize convolutions from N(0, 2 / fan_out) and biases of linear layers to zero.

    This is the backward case of He et al. 2015 (ICCV), section 2.2, as in the code of He et al. and of Zagoruyko and
    Komodakis. Batch normalization is initialized as in PyTorch.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
