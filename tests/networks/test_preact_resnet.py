"""Pre-activation ResNets: counts of the papers, blocks against the figure."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import PreActResNet
from ganmc_lightning.networks.preact_resnet import PreActBlock, PreActBottleneck


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def bottleneck(size_in, size_out, projected):
    middle = size_out // 4
    weights = size_in * middle + 9 * middle**2 + middle * size_out
    return weights + 2 * (size_in + 2 * middle) + projected * size_in * size_out


def basic(size_in, size_out, projected):
    weights = 9 * (size_in * size_out + size_out**2)
    return weights + 2 * (size_in + size_out) + projected * size_in * size_out


def test_resnet_164_parameters():
    by_hand = 27 * 16 + 2 * 256 + 257 * 10
    for size_in, size_out in ((16, 64), (64, 128), (128, 256)):
        by_hand += bottleneck(size_in, size_out, True) + 17 * bottleneck(size_out, size_out, False)
    with torch.device("meta"):
        parameters = count(PreActResNet())
    assert parameters == by_hand == 1_703_258
    assert round(parameters / 1e6, 1) == 1.7  # He et al. 2016b


def test_resnet_164_of_anc():
    """ANC, table 3: ResNet-164 with 2.6M parameters and 97.49B operations (a batch of 128)."""
    by_hand = 27 * 16 + 2 * 64 + 65 * 10 + 27 * basic(16, 16, False)
    for size_in, size_out in ((16, 32), (32, 64)):
        by_hand += basic(size_in, size_out, True) + 26 * basic(size_out, size_out, False)
    with torch.device("meta"):
        network, images = PreActResNet(164, bottleneck=False), torch.zeros(128, 3, 32, 32)
    assert count(network) == by_hand == 2_605_466
    assert round(count(network) / 1e6, 1) == 2.6
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(97.49, rel=0.005)  # they count biases too


def test_resnet_20_of_anc():
    """ANC, table 3: ResNet-20 with 0.27M parameters and 10.52B operations."""
    with torch.device("meta"):
        network, images = PreActResNet(20, bottleneck=False), torch.zeros(128, 3, 32, 32)
    assert round(count(network) / 1e6, 2) == 0.27
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(10.52, rel=0.01)


@pytest.mark.parametrize(("depth", "is_bottleneck"), [(164, True), (29, True), (20, False)])
def test_depth_is_the_number_of_layers_on_the_longest_path(depth, is_bottleneck):
    with torch.device("meta"):
        network = PreActResNet(depth, bottleneck=is_bottleneck)
    weighted = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and "projection" not in name
    ]
    assert len(weighted) == depth


def activate(maps, norm):
    return F.batch_norm(maps, None, None, norm.weight, norm.bias, training=True).clamp(min=0)


def shortcut(block, inputs, activated, stride):
    if block.projection is None:
        return inputs  # nothing stands on the clean path
    return F.conv2d(activated, block.projection.weight, stride=stride)


@pytest.mark.parametrize(("size_in", "size_out", "stride"), [(4, 4, 1), (4, 8, 2), (4, 8, 1)])
def test_basic_block_activates_first(size_in, size_out, stride):
    torch.manual_seed(0)
    block = PreActBlock(size_in, size_out, stride)
    assert (block.projection is None) == (size_in == size_out)
    inputs = torch.randn(5, size_in, 8, 8)
    first, activation, _, second = block.residual
    activated = activate(inputs, block.activation[0])
    inner = F.conv2d(activated, first.weight, stride=stride, padding=1)
    inner = F.conv2d(activate(inner, activation[0]), second.weight, padding=1)
    assert torch.allclose(block(inputs), inner + shortcut(block, inputs, activated, stride), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size_in", "size_out", "stride"), [(8, 8, 1), (4, 8, 2), (4, 16, 1)])
def test_bottleneck_activates_first(size_in, size_out, stride):
    torch.manual_seed(0)
    block = PreActBottleneck(size_in, size_out, stride)
    assert (block.projection is None) == (size_in == size_out)
    inputs = torch.randn(5, size_in, 8, 8)
    narrow, activation1, middle, activation2, widen = block.residual
    activated = activate(inputs, block.activation[0])
    inner = F.conv2d(activated, narrow.weight, stride=stride)
    inner = F.conv2d(activate(inner, activation1[0]), middle.weight, padding=1)
    inner = F.conv2d(activate(inner, activation2[0]), widen.weight)
    assert torch.allclose(block(inputs), inner + shortcut(block, inputs, activated, stride), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("depth", "is_bottleneck", "form"), [(21, False, 6), (32, True, 9), (2, True, 9)])
def test_depth_must_fit_the_blocks(depth, is_bottleneck, form):
    with pytest.raises(ConfigurationError, match=rf"^depth: got {depth}, expected {form}n\+2 "):
        PreActResNet(depth, bottleneck=is_bottleneck)


def test_the_last_sum_is_activated_before_it_is_averaged():
    torch.manual_seed(0)
    network = PreActResNet(11)
    images = torch.randn(4, 3, 8, 8)
    maps = network.features[:4](images)  # the stem and one bottleneck a stage
    expected = activate(maps, network.features[4]).mean(dim=(2, 3))
    assert torch.allclose(network.features(images), expected, rtol=1e-4, atol=1e-5)
