"""Latent distribution of generators, and abstract base classes."""

from __future__ import annotations

import pytest
import torch

from ganmc_lightning.networks import (
    ACGANGenerator,
    ClassConditionalDiscriminator,
    Discriminator,
    Generator,
    TabularGenerator,
)


@pytest.mark.parametrize("network", [Discriminator, ClassConditionalDiscriminator])
def test_discriminators_are_abstract(network):
    with pytest.raises(TypeError, match="abstract"):
        network()


def test_generator_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Generator(latent_dim=4, num_classes=2, sample_shape=(3,))


def test_latents_have_the_shape_dtype_and_spread_asked_for():
    generator = TabularGenerator(num_features=3, latent_dim=50, latent_std=0.5)
    latents = generator.sample_latents(2000, "cpu", torch.Generator().manual_seed(0))
    assert latents.shape == (2000, 50)
    assert latents.dtype == torch.float32
    assert latents.std().item() == pytest.approx(0.5, rel=0.02)
    assert latents.mean().item() == pytest.approx(0.0, abs=0.01)


def test_latents_use_the_given_generator_and_keep_the_global_state():
    generator = TabularGenerator(num_features=3)
    state = torch.random.get_rng_state()
    first = generator.sample_latents(5, "cpu", torch.Generator().manual_seed(1))
    again = generator.sample_latents(5, "cpu", torch.Generator().manual_seed(1))
    other = generator.sample_latents(5, "cpu", torch.Generator().manual_seed(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.random.get_rng_state())


def test_generators_say_what_they_make():
    images = ACGANGenerator(image_size=28, channels=1, num_classes=7, latent_dim=12, width=4)
    assert (images.latent_dim, images.num_classes, images.sample_shape) == (12, 7, (1, 28, 28))
    rows = TabularGenerator(num_features=9, num_classes=3)
    assert (rows.latent_dim, rows.num_classes, rows.sample_shape) == (100, 3, (9,))
