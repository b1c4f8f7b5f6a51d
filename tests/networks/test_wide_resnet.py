"""Wide ResNets: counts of the paper, dropout inside the block."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import WideResNet
from ganmc_lightning.networks.preact_resnet import PreActBlock


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def by_hand(depth, k, num_classes=10):
    n = (depth - 4) // 6
    total = 27 * 16
    size_in = 16
    for size_out in (16 * k, 32 * k, 64 * k):
        total += 9 * (size_in * size_out + size_out**2) + 2 * (size_in + size_out)
        total += size_in * size_out if size_in != size_out else 0
        total += (n - 1) * (18 * size_out**2 + 4 * size_out)
        size_in = size_out
    return total + 2 * size_in + (size_in + 1) * num_classes


@pytest.mark.parametrize(
    ("depth", "k", "millions"), [(28, 10, 36.5), (40, 4, 8.9), (16, 8, 11.0), (22, 8, 17.2), (40, 1, 0.6)]
)
def test_parameters(depth, k, millions):
    with torch.device("meta"):
        parameters = count(WideResNet(depth, k))
    assert parameters == by_hand(depth, k)
    assert round(parameters / 1e6, 1) == millions  # Zagoruyko and Komodakis, tables 3 and 4


def test_wrn_28_10_exactly():
    with torch.device("meta"):
        network = WideResNet()
        images = torch.zeros(1, 3, 32, 32)
    assert count(network) == 36_479_194
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert round(counter.get_total_flops() / 2e9, 1) == 5.2


def test_depth_counts_the_projections():
    with torch.device("meta"):
        network = WideResNet(16, 4)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 16  # 13 on the path and 3 projections; the linear layer does not count


def test_dropout_precedes_the_second_convolution():
    torch.manual_seed(0)
    block = PreActBlock(4, 4, 1, dropout=1.0)
    inputs = torch.randn(2, 4, 8, 8)
    assert torch.equal(block(inputs), inputs)  # all is dropped, so nothing but the shortcut is left
    block.eval()
    assert not torch.equal(block(inputs), inputs)
    assert isinstance(block.residual[2], nn.Dropout)


def test_dropout_reaches_every_block():
    network = WideResNet(16, 1, dropout=0.3)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.3] * 6


@pytest.mark.parametrize("depth", [4, 20, 29])
def test_bad_depth(depth):
    with pytest.raises(ConfigurationError, match=rf"^depth: got {depth}, expected 6n\+4 "):
        WideResNet(depth)


def test_the_last_sum_is_activated_before_it_is_averaged():
    torch.manual_seed(0)
    network = WideResNet(10, 1)
    images = torch.randn(4, 3, 8, 8)
    maps = network.features[:4](images)  # the stem and one block a stage
    norm = network.features[4]
    activated = F.batch_norm(maps, None, None, norm.weight, norm.bias, training=True).clamp(min=0)
    assert torch.allclose(network.features(images), activated.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
