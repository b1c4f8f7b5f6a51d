from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ConvFeatureDiscriminator, FeatureDiscriminator

TABLE_1 = [
    (128, 256, 128),
    (64, 128, 256),
    (256, 256),
    (256, 128, 64),
    (64, 128, 128, 64),
    (500, 500),
    (256, 256, 64),
    (64, 64),
    (128, 128, 128),
]


def parameters_of(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("hidden", TABLE_1)
def test_every_width_of_table_1(hidden):
    discriminator = FeatureDiscriminator(64, hidden)
    sizes = (64, *hidden, 1)
    assert parameters_of(discriminator) == sum((a + 1) * b for a, b in pairwise(sizes))
    logits = discriminator(torch.randn(5, 64))
    assert logits.shape == (5,)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_maps_are_flattened():
    discriminator = FeatureDiscriminator(2 * 3 * 3, (4,))
    maps = torch.randn(5, 2, 3, 3)
    assert torch.equal(discriminator(maps), discriminator(maps.flatten(1)))


def test_convolutions():
    discriminator = ConvFeatureDiscriminator(16)
    assert parameters_of(discriminator) == (16 * 9 + 1) * 128 + (128 * 9 + 1) * 256 + 257
    assert discriminator(torch.randn(5, 16, 7, 7)).shape == (5,)
    vectors = torch.randn(5, 16)
    assert torch.equal(discriminator(vectors), discriminator(vectors.view(5, 16, 1, 1)))


@pytest.mark.parametrize("scale", [1e30, -1000.0])
def test_returns_logits(scale):
    """There is no sigmoid, because the losses apply it."""
    logits = FeatureDiscriminator(8, (4,))(torch.randn(3, 8) * scale)
    assert logits.abs().max() > 1


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(FeatureDiscriminator, (0, (4,))), (FeatureDiscriminator, (4, ())), (ConvFeatureDiscriminator, (4, (8, -1)))],
)
def test_bad_sizes_raise(kind, arguments):
    with pytest.raises(ConfigurationError, match="expected positive sizes and at least one hidden layer"):
        kind(*arguments)
