"""CIFAR ResNets and ResNet-18: counts of the papers, blocks against the equations, initialization."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import CIFARResNet, ResNet18
from ganmc_lightning.networks.resnet import BasicBlock


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network, side=32):
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2


def normalised(size_in, size_out, kernel):
    """Parameters of a convolution without bias and the normalization behind it."""
    return kernel**2 * size_in * size_out + 2 * size_out


@pytest.mark.parametrize(
    ("depth", "exact", "millions", "digits"),
    [
        (20, 269_722, 0.27, 2),
        (32, 464_154, 0.46, 2),
        (56, 853_018, 0.85, 2),
        (110, 1_727_962, 1.7, 1),
    ],
)
def test_cifar_resnet_parameters(depth, exact, millions, digits):
    n = (depth - 2) // 6
    by_hand = normalised(3, 16, 3) + 2 * n * normalised(16, 16, 3)
    for size_in, size_out in ((16, 32), (32, 64)):
        by_hand += normalised(size_in, size_out, 3) + (2 * n - 1) * normalised(size_out, size_out, 3)
    by_hand += 65 * 10
    with torch.device("meta"):
        parameters = count(CIFARResNet(depth))
    assert parameters == by_hand == exact
    assert round(parameters / 1e6, digits) == millions  # He et al. 2016a, table 6


@pytest.mark.parametrize("depth", [20, 56])
def test_cifar_resnet_depth_is_its_number_of_weighted_layers(depth):
    with torch.device("meta"):
        network = CIFARResNet(depth)
    weighted = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert len(weighted) == depth


def test_multiply_adds():
    with torch.device("meta"):
        assert round(multiply_adds(CIFARResNet(20)) / 1e6, 1) == 40.6
        assert round(multiply_adds(ResNet18()) / 1e9, 2) == 0.56
    # by hand for 20: the stem, six 3x3 convolutions a stage, the first of stages 2 and 3 from half the maps
    stem, stage = 32**2 * 9 * 3 * 16, 32**2 * 9 * 16 * 16
    by_hand = stem + 6 * stage + 2 * (5 * stage + stage // 2) + 640
    with torch.device("meta"):
        assert multiply_adds(CIFARResNet(20)) == by_hand


def test_resnet18_parameters():
    by_hand = normalised(3, 64, 3) + 4 * normalised(64, 64, 3)
    for size_in, size_out in ((64, 128), (128, 256), (256, 512)):
        by_hand += normalised(size_in, size_out, 3) + 3 * normalised(size_out, size_out, 3)
        by_hand += normalised(size_in, size_out, 1)
    by_hand += 513 * 10
    with torch.device("meta"):
        parameters = count(ResNet18())
    assert parameters == by_hand == 11_173_962
    assert round(parameters / 1e6, 2) == 11.17


def test_resnet18_keeps_the_side_through_the_stem():
    with torch.device("meta"):
        network = ResNet18()
        maps = network.features[:-2](torch.zeros(1, 3, 32, 32))
    assert maps.shape == (1, 512, 4, 4)


def test_basic_block_computes_equation_1():
    torch.manual_seed(0)
    block = BasicBlock(4, 6, 2, nn.Conv2d(4, 6, 1, stride=2))
    inputs = torch.randn(5, 4, 8, 8)
    first, norm1, _, second, norm2 = block.residual
    inner = F.conv2d(inputs, first.weight, stride=2, padding=1)
    inner = F.batch_norm(inner, None, None, norm1.weight, norm1.bias, training=True).clamp(min=0)
    inner = F.conv2d(inner, second.weight, padding=1)
    inner = F.batch_norm(inner, None, None, norm2.weight, norm2.bias, training=True)
    shortcut = F.conv2d(inputs, block.shortcut.weight, block.shortcut.bias, stride=2)
    assert torch.allclose(block(inputs), (inner + shortcut).clamp(min=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [7, 8])
def test_option_a_subsamples_and_fills_with_zeros(side):
    block = next(
        layer
        for layer in CIFARResNet(8).features
        if isinstance(layer, BasicBlock) and layer.residual[0].stride == (2, 2)
    )
    nn.init.zeros_(block.residual[-1].weight)  # no residual: the shortcut alone is left
    inputs = torch.randn(2, 16, side, side)
    outputs = block(inputs)
    assert outputs.shape == (2, 32, 4, 4)
    assert torch.equal(outputs[:, :16], inputs[:, :, ::2, ::2].clamp(min=0))
    assert not outputs[:, 16:].any()


@pytest.mark.parametrize("make", [lambda: CIFARResNet(20), ResNet18])
def test_he_initialization(make):
    torch.manual_seed(0)
    network = make()
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions[1:]:
        fan_out = layer.out_channels * layer.kernel_size[0] ** 2
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.1)
    assert not network.classifier.bias.any()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert torch.equal(layer.weight, torch.ones_like(layer.weight))


@pytest.mark.parametrize("depth", [-4, 2, 18, 21, 164 + 1])
def test_bad_depth(depth):
    with pytest.raises(ConfigurationError, match=rf"^depth: got {depth}, expected 6n\+2 "):
        CIFARResNet(depth)
