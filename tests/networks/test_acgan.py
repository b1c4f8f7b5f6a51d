"""AC-GAN networks for images: shapes, layers, parameter counts, conditioning, normalization."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def layers(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=16, width=4)


@pytest.fixture
def latents(generator):
    return generator.sample_latents(6, "cpu", torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [8, 12, 16, 28, 32, 64])
def test_shapes_and_range(image_size, channels):
    torch.manual_seed(0)
    generator = ACGANGenerator(image_size, channels, num_classes=5, latent_dim=20, width=4)
    labels = torch.tensor([0, 4, 2])
    images = generator(3 * generator.sample_latents(3, "cpu"), labels)
    assert images.shape == (3, channels, image_size, image_size)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    discriminator = ACGANDiscriminator(image_size, channels, num_classes=5, width=2)
    source, classes = discriminator(images)
    assert source.shape == (3,)
    assert classes.shape == (3, 5)


@pytest.mark.parametrize(("image_size", "start"), [(8, 4), (12, 6), (16, 4), (28, 7), (32, 4), (64, 8)])
def test_three_transposed_convolutions_double_from_the_start_size(image_size, start):
    generator = ACGANGenerator(image_size, width=2)
    transposed = layers(generator, nn.ConvTranspose2d)
    assert generator.start_size == start
    assert len(transposed) == 3
    doublings = sum(layer.stride == (2, 2) for layer in transposed)
    assert start * 2**doublings == image_size


@pytest.mark.parametrize("normalization", ["batch", "spectral"])
def test_six_convolutions_as_in_odena(normalization):
    convolutions = layers(ACGANDiscriminator(normalization=normalization), nn.Conv2d)
    assert [layer.out_channels for layer in convolutions] == [16, 32, 64, 128, 256, 512]
    assert [layer.stride[0] for layer in convolutions] == [2, 1, 2, 1, 2, 1]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}


def test_generator_parameters_by_hand():
    embedding, project = 10 * 110, (110 + 1) * (384 * 4 * 4)
    norms = 2 * (384 + 192 + 96)
    transposed = (384 * 16 + 1) * 192 + (192 * 16 + 1) * 96 + (96 * 16 + 1) * 3
    assert count(ACGANGenerator()) == embedding + project + norms + transposed
    # 8 pixels: start at 4, so only the first layer has stride 2 and a 4x4 kernel.
    transposed = (384 * 16 + 1) * 192 + (192 * 9 + 1) * 96 + (96 * 9 + 1) * 1
    assert count(ACGANGenerator(8, channels=1)) == embedding + project + norms + transposed


def test_discriminator_parameters_by_hand():
    sizes = [3, 16, 32, 64, 128, 256, 512]
    weights = sum(9 * a * b for a, b in pairwise(sizes))
    heads = (512 * 4 * 4 + 1) * 11
    # The first convolution has a bias, each other a scale and a shift.
    assert count(ACGANDiscriminator()) == weights + 16 + 2 * sum(sizes[2:]) + heads
    assert count(ACGANDiscriminator(normalization="spectral")) == weights + sum(sizes[1:]) + heads


def test_the_class_changes_the_image(generator, latents):
    generator.eval()
    images = [generator(latents, torch.full((6,), k)) for k in range(3)]
    assert not torch.allclose(images[0], images[1], atol=1e-3)
    assert not torch.allclose(images[1], images[2], atol=1e-3)
    with torch.no_grad():
        generator.embedding.weight[1] = generator.embedding.weight[0]
    assert torch.equal(images[0], generator(latents, torch.ones(6, dtype=torch.int64)))


def test_generator_wants_labels(generator, latents):
    with pytest.raises(ValueError, match="labels"):
        generator(latents)


def test_normalization_layers():
    assert len(layers(ACGANDiscriminator(normalization="batch"), nn.BatchNorm2d)) == 5
    spectral = ACGANDiscriminator(normalization="spectral")
    assert not layers(spectral, nn.BatchNorm2d)
    weighted = layers(spectral, (nn.Conv2d, nn.Linear))
    assert len(weighted) == 8
    assert all(parametrize.is_parametrized(layer, "weight") for layer in weighted)


def test_spectral_layers_have_norm_one():
    torch.manual_seed(0)
    discriminator = ACGANDiscriminator(8, 1, width=2, normalization="spectral", dropout=0.0)
    for _ in range(100):  # one power iteration each
        discriminator(torch.randn(2, 1, 8, 8))
    for layer in layers(discriminator, (nn.Conv2d, nn.Linear)):
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert norm.item() == pytest.approx(1.0, abs=0.02)


def test_dropout_is_on_in_training_only():
    torch.manual_seed(0)
    discriminator = ACGANDiscriminator(8, 1, width=4, normalization="spectral")
    images = torch.randn(4, 1, 8, 8)
    assert not torch.equal(discriminator(images)[1], discriminator(images)[1])
    discriminator.eval()
    assert torch.equal(discriminator(images)[1], discriminator(images)[1])
    assert not layers(ACGANDiscriminator(dropout=0.0), nn.Dropout)


@pytest.mark.parametrize("normalization", ["batch", "spectral"])
def test_gradients_reach_every_parameter(generator, latents, normalization):
    discriminator = ACGANDiscriminator(8, 1, 3, width=4, normalization=normalization)
    source, classes = discriminator(generator(latents, torch.tensor([0, 1, 2, 0, 1, 2])))
    (source.sum() + classes.square().sum()).backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            # A bias in front of a batch normalization has no effect, and rightly no gradient.
            assert parameter.grad.any() or name.endswith("bias"), name


def test_a_copy_generates_equal_images(generator, latents):
    generator.eval()
    twin = copy.deepcopy(generator)
    fresh = ACGANGenerator(8, 1, 3, latent_dim=16, width=4).eval()
    fresh.load_state_dict(generator.state_dict())
    labels = torch.zeros(6, dtype=torch.int64)
    assert torch.equal(generator(latents, labels), twin(latents, labels))
    assert torch.equal(generator(latents, labels), fresh(latents, labels))


@pytest.mark.parametrize("image_size", [0, 4, 30, 33, 68])
def test_bad_image_size(image_size):
    with pytest.raises(ConfigurationError, match=f"^image_size: got {image_size}, expected a multiple of 4"):
        ACGANGenerator(image_size)


def test_bad_normalization():
    with pytest.raises(ConfigurationError, match="normalization"):
        ACGANDiscriminator(normalization="spectal")  # type: ignore[arg-type]
