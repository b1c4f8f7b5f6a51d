"""LeNet and LeNet-4: parameter counts, the missing non-linearity, image sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import LeNet, LeNet4


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def by_hand(in_channels, cells, widths, num_classes=10):
    first, second, hidden = widths
    convolutions = (25 * in_channels + 1) * first + (25 * first + 1) * second
    return convolutions + (second * cells + 1) * hidden + (hidden + 1) * num_classes


def test_parameters():
    # 32 -> 28 -> 14 -> 10 -> 5 and 28 -> 24 -> 12 -> 8 -> 4: the authors' dense layer has 5 * 5 * 128 inputs.
    assert count(LeNet()) == by_hand(3, 25, (64, 128, 1024)) == 3_497_866
    assert count(LeNet4()) == by_hand(1, 16, (4, 16, 120)) == 33_770


def test_widths_of_anc():
    """ANC, table 6: LeNet-4 with 2.3M parameters and 7.06B floating-point operations."""
    widths = (64, 128, 1024)
    parameters = count(LeNet4(widths=widths))
    assert parameters == by_hand(1, 16, widths) == 2_315_018
    assert round(parameters / 1e6, 1) == 2.3
    with torch.device("meta"):
        network, images = LeNet4(3, 32, widths=widths), torch.zeros(128, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(7.06, rel=0.005)  # they count biases too


def fill(network, *values):
    """Make each weighted layer average its inputs, times a value; no biases."""
    weighted = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, value in zip(weighted, values, strict=True):
            layer.weight.fill_(value / layer.weight[0].numel())
            layer.bias.zero_()


@pytest.mark.parametrize(("network", "expected"), [(LeNet, 5.0), (LeNet4, 0.0)])
def test_only_lenet4_rectifies_its_convolutions(network, expected):
    network = network(3, 16, 2, widths=(2, 2, 2))
    fill(network, -1.0, 1.0, -1.0, 5.0)
    logits = network(torch.ones(1, 3, 16, 16))
    assert torch.allclose(logits, torch.full((1, 2), expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", [LeNet, LeNet4])
def test_pools_take_the_largest(network):
    """A bright pixel in the corner affects the output after two averaging convolutions and two max poolings."""
    network = network(1, 16, 1, widths=(1, 1, 1))
    fill(network, 25.0, 25.0, 1.0, 1.0)
    images = torch.zeros(1, 1, 16, 16)
    images[..., 0, 0] = 1
    assert network(images).item() == pytest.approx(1.0, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("network", [LeNet, LeNet4])
@pytest.mark.parametrize("image_size", [8, 15])
def test_image_too_small(network, image_size):
    with pytest.raises(ConfigurationError, match=f"^image_size: got {image_size}, expected at least 16"):
        network(image_size=image_size)
