"""The five-layer CNN: its layers, parameter counts and options."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import FiveLayerCNN


def layers(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_five_weighted_layers():
    network = FiveLayerCNN()
    assert len(layers(network, nn.Conv2d)) == 3
    assert len(layers(network, nn.Linear)) == 2
    assert len(layers(network, nn.ReLU)) == 4
    assert len(layers(network, nn.MaxPool2d)) == 3
    assert not layers(network, nn.BatchNorm2d)


def test_parameters():
    weights = 9 * (3 * 64 + 64 * 128 + 128 * 256)
    dense = (256 * 4 * 4 + 1) * 512 + 513 * 10
    assert count(FiveLayerCNN()) == weights + (64 + 128 + 256) + dense == 2_473_610
    # With normalization a scale and a shift take the place of each bias.
    assert count(FiveLayerCNN(batch_norm=True)) == weights + 2 * (64 + 128 + 256) + dense
    small = 9 * (1 * 2 + 2 * 3 + 3 * 4) + (2 + 3 + 4) + (4 * 3 * 3 + 1) * 5 + 6 * 7
    assert count(FiveLayerCNN(1, 28, 7, widths=(2, 3, 4, 5))) == small


def test_max_pooling_and_rectifying_in_either_order():
    """Comparison with a functional implementation, ReLU before pooling."""
    torch.manual_seed(0)
    network = FiveLayerCNN(3, 12, 5, widths=(4, 6, 8, 10))
    images = torch.randn(3, 3, 12, 12)
    maps = images
    for layer in layers(network, nn.Conv2d):
        maps = nn.functional.conv2d(maps, layer.weight, layer.bias, padding=1).clamp(min=0)
        maps = nn.functional.max_pool2d(maps, 2)
    hidden, output = layers(network, nn.Linear)
    expected = (maps.flatten(1) @ hidden.weight.T + hidden.bias).clamp(min=0) @ output.weight.T + output.bias
    assert torch.allclose(network(images), expected, rtol=1e-5, atol=1e-5)


def test_dropout_drops_before_both_dense_layers():
    torch.manual_seed(0)
    network = FiveLayerCNN(1, 8, widths=(4, 4, 4, 64), dropout=0.5)
    order = [type(layer) for layer in network.features][-5:]
    assert order == [nn.Flatten, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout]
    images = torch.randn(2, 1, 8, 8)
    assert not torch.equal(network(images), network(images))


def test_image_too_small():
    with pytest.raises(ConfigurationError, match=r"^image_size: got 7, expected at least 8"):
        FiveLayerCNN(image_size=7)
