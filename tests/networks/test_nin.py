"""NIN: the layers of the released code, parameter count, pooling at the edge, signal at the start."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import NIN


def layers(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def by_hand(in_channels, cells, hidden, num_classes=10):
    first = (25 * in_channels + 1) * 192 + 193 * 160 + 161 * 96
    second = (25 * 96 + 1) * 192 + 2 * 193 * 192
    third = (9 * 192 + 1) * 192 + 193 * 192
    return first + second + third + (192 * cells + 1) * hidden + (hidden + 1) * num_classes


def test_layers():
    network = NIN()
    convolutions = layers(network, nn.Conv2d)
    assert [layer.out_channels for layer in convolutions] == [192, 160, 96, 192, 192, 192, 192, 192]
    assert [layer.kernel_size[0] for layer in convolutions] == [5, 1, 1, 5, 1, 1, 3, 1]
    assert [layer.p for layer in layers(network, nn.Dropout)] == [0.5, 0.5]
    kinds = [type(layer) for layer in network.features if not isinstance(layer, (nn.Conv2d, nn.ReLU))]
    assert kinds == [nn.MaxPool2d, nn.Dropout, nn.AvgPool2d, nn.Dropout, nn.Flatten, nn.Linear]
    assert len(layers(network, nn.ReLU)) == 9  # after all but the logits


def test_parameters():
    with torch.device("meta"):
        assert count(NIN()) == by_hand(3, 8 * 8, 1024) == 13_559_242
        assert count(NIN(hidden=100)) == by_hand(3, 8 * 8, 100)


def test_parameters_and_operations_of_anc():
    """ANC, table 6: NiN with 10.6M parameters (28x28, gray) and 60.23B operations (a batch at 32x32x3)."""
    with torch.device("meta"):
        parameters = count(NIN(1, 28))
        network, images = NIN(), torch.zeros(128, 3, 32, 32)
    assert parameters == by_hand(1, 7 * 7, 1024) == 10_600_522
    assert round(parameters / 1e6, 1) == 10.6
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(60.23, rel=0.005)  # they count biases too


def test_average_at_the_edge_is_over_what_is_there():
    (pool,) = layers(NIN(1, 8), nn.AvgPool2d)
    pooled = pool(torch.arange(16.0).view(1, 1, 4, 4))
    # Windows start at 0 and 2; those that hang over the edge hold 2 rows or columns.
    expected = [[(0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10) / 9, (2 + 3 + 6 + 7 + 10 + 11) / 6]]
    expected += [[(8 + 9 + 10 + 12 + 13 + 14) / 6, (10 + 11 + 14 + 15) / 4]]
    assert torch.allclose(pooled[0, 0], torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_an_odd_side_is_rounded_down():
    network = NIN(1, 9)
    pooled = network.features[:-3](torch.zeros(1, 1, 9, 9))  # before the layer that flattens the maps
    assert pooled.shape == (1, 192, 2, 2)
    assert network(torch.zeros(1, 1, 9, 9)).shape == (1, 10)


def test_signal_neither_dies_nor_explodes_at_the_start():
    torch.manual_seed(0)
    network = NIN(3, 16).eval()
    images = torch.randn(4, 3, 16, 16)
    convolved = network.features[:-3](images)  # up to the last ReLU before the dense layers
    assert 0.3 < convolved.square().mean().sqrt() < 3


def test_dropout_is_on_in_training_only():
    torch.manual_seed(0)
    network = NIN(1, 8)
    images = torch.randn(2, 1, 8, 8)
    assert not torch.equal(network(images), network(images))
    network = NIN(1, 8, dropout=0.0)
    assert torch.equal(network(images), network(images))


def test_image_too_small():
    with pytest.raises(ConfigurationError, match=r"^image_size: got 7, expected at least 8"):
        NIN(image_size=7)
