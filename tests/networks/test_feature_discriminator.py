from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ConvFeatureDiscriminator, FeatureDiscriminator, RandomProjection

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
    verdicts = discriminator(torch.randn(5, 64))
    assert verdicts.shape == (5,)
    verdicts.sum().backward()
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
    """Without a sigmoid: the losses apply it."""
    logits = FeatureDiscriminator(8, (4,))(torch.randn(3, 8) * scale)
    assert logits.abs().max() > 1


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(FeatureDiscriminator, (0, (4,))), (FeatureDiscriminator, (4, ())), (ConvFeatureDiscriminator, (4, (8, -1)))],
)
def test_bad_sizes_are_refused(kind, arguments):
    with pytest.raises(ConfigurationError, match="needs positive sizes and a hidden layer"):
        kind(*arguments)


@pytest.mark.parametrize("sizes", [(8, 3), (3, 8)])
def test_fixed_projection(sizes):
    projection = RandomProjection(*sizes)
    assert not list(projection.parameters())
    assert projection.state_dict() == {}
    gram = projection.weight @ projection.weight.T
    small = gram if sizes[1] < sizes[0] else projection.weight.T @ projection.weight
    torch.testing.assert_close(small, torch.eye(3), rtol=1e-5, atol=1e-5)
    assert torch.equal(projection.weight, RandomProjection(*sizes).weight)
    assert not torch.equal(projection.weight, RandomProjection(*sizes, seed=1).weight)
    inputs = torch.randn(2, sizes[0], requires_grad=True)
    assert projection(inputs).shape == (2, sizes[1])
    projection(inputs).sum().backward()
    assert inputs.grad is not None
