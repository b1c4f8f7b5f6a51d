"""Residual networks for small images: He et al. 2016a and, with pre-activation, 2016b."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class CIFARResNet(nn.Module):
    """The 6n+2 layers residual network for 32-pixel images of He et al. 2016a (CVPR), section 4.2.

    A 3x3 convolution to 16 maps, three stages of n basic blocks with 16, 32 and 64 maps (the second and the
    third halve the side), global average pooling and a linear layer. Shortcuts have no parameters
    (the paper's option A: subsample, fill the new channels with zeros).

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
        in_channels: color channels.
        num_classes: classes it tells apart.

    Raises:
        ConfigurationError: ``depth`` is not 6n+2.

    Example:
        >>> import torch
        >>> CIFARResNet(depth=8)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, depth: int = 20, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        blocks = blocks_per_stage(depth, layers_per_block=2)
        self.features = nn.Sequential(
            conv3x3(in_channels, 16),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            *(BasicBlock(16, 16, 1, nn.Identity()) for _ in range(blocks)),
            BasicBlock(16, 32, 2, _PaddedShortcut(stride=2, new_channels=16)),
            *(BasicBlock(32, 32, 1, nn.Identity()) for _ in range(blocks - 1)),
            BasicBlock(32, 64, 2, _PaddedShortcut(stride=2, new_channels=32)),
            *(BasicBlock(64, 64, 1, nn.Identity()) for _ in range(blocks - 1)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(64, num_classes)
        init_kaiming(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016a, table 1) with the stem that small images need.

    A 3x3 convolution of stride 1 and no pooling take the place of the 7x7 convolution and the max-pooling,
    which would leave a 32-pixel image one cell at the end. Four stages of two basic blocks with 64, 128, 256
    and 512 maps; a 1x1 convolution on the shortcut where the shape changes (option B). 11,173,962
    parameters on CIFAR-10.

    Args:
        in_channels: color channels.
        num_classes: classes it tells apart.
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv3x3(in_channels, 64),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            BasicBlock(64, 64, 1, nn.Identity()),
            BasicBlock(64, 64, 1, nn.Identity()),
            BasicBlock(64, 128, 2, _projected_shortcut(64, 128, 2)),
            BasicBlock(128, 128, 1, nn.Identity()),
            BasicBlock(128, 256, 2, _projected_shortcut(128, 256, 2)),
            BasicBlock(256, 256, 1, nn.Identity()),
            BasicBlock(256, 512, 2, _projected_shortcut(256, 512, 2)),
            BasicBlock(512, 512, 1, nn.Identity()),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(512, num_classes)
        init_kaiming(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, ReLU after the sum (He et al. 2016a, equation 1).

    Args:
        in_channels: maps that come in.
        out_channels: maps that go out.
        stride: 2 halves the side.
        shortcut: takes the input to the shape of the output.
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


class _PaddedShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, and zeros for the new channels."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = new_channels

    def forward(self, inputs: Tensor) -> Tensor:
        kept = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.new_channels))


def _projected_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Option B: a normalised 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the side (stride 1) or halves it; normalization makes a bias useless."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def blocks_per_stage(depth: int, layers_per_block: int, other_layers: int = 2) -> int:
    """Blocks in each of three stages that make a network of ``depth`` weighted layers.

    Raises:
        ConfigurationError: no number of blocks gives that depth.

    Example:
        >>> blocks_per_stage(164, layers_per_block=3)
        18
    """
    blocks, rest = divmod(depth - other_layers, 3 * layers_per_block)
    if blocks < 1 or rest:
        raise ConfigurationError(f"depth must be {3 * layers_per_block}n+{other_layers} with n >= 1, got {depth}")
    return blocks


def init_kaiming(network: nn.Module) -> None:
    """Draw convolutions from N(0, 2 / fan_out) and zero the biases of linear layers.

    He et al. 2015 (ICCV), section 2.2, backward case: what the code of He et al. and of Zagoruyko and
    Komodakis does. Batch normalization keeps PyTorch's scale 1 and shift 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
