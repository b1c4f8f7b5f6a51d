"""DCGAN networks: the paper's parameter counts, shapes, first weights, normalization."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import DCGANDiscriminator, DCGANGenerator
from ganmc_lightning.networks.profiling import count_parameters

# GAN-KD, table 1 and its caption.
PAPER = {
    2: 28_351,
    4: 62_077,
    8: 145_657,
    16: 377_329,
    32: 1_098_721,
    48: 2_164_177,
    64: 3_573_697,
    128: 12_652_417,
    256: 47_324_929,
}


def layers(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("width", PAPER)
def test_parameters_are_those_of_the_paper(width):
    with torch.device("meta"):
        assert count_parameters(DCGANGenerator(64, 1, width=width)) == PAPER[width]
        assert count_parameters(DCGANGenerator(64, 3, width=width)) == PAPER[width] + 32 * width + 2


@pytest.mark.parametrize("width", [1, 2, 8, 33])
def test_parameters_of_the_other_networks(width):
    d = width
    with torch.device("meta"):
        assert count_parameters(DCGANGenerator(32, 1, width=d)) == 160 * d**2 + 6423 * d + 1
        assert count_parameters(DCGANGenerator(28, 1, width=d)) == 160 * d**2 + 6423 * d + 1
        assert count_parameters(DCGANDiscriminator(64, 1, width=d)) == 672 * d**2 + 159 * d + 1
        for normalization in ("batch", "none", "spectral"):
            discriminator = DCGANDiscriminator(32, 1, width=d, normalization=normalization)
            assert count_parameters(discriminator) == 160 * d**2 + 87 * d + 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("image_size", "convolutions"), [(8, 2), (12, 3), (16, 3), (28, 4), (32, 4), (64, 5)])
def test_shapes_and_range(image_size, convolutions, channels):
    generator = DCGANGenerator(image_size, channels, latent_dim=6, width=2)
    images = generator(generator.sample_latents(3, "cpu"))
    assert images.shape == (3, *generator.sample_shape) == (3, channels, image_size, image_size)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert generator.num_classes == 0
    assert len(layers(generator, nn.ConvTranspose2d)) == convolutions
    discriminator = DCGANDiscriminator(image_size, channels, width=2)
    assert discriminator(images).shape == (3,)
    assert len(layers(discriminator, nn.Conv2d)) == convolutions


def test_28_pixels_are_the_middle_of_32():
    torch.manual_seed(3)
    whole = DCGANGenerator(32, 1, width=2)
    cut = DCGANGenerator(28, 1, width=2)
    cut.load_state_dict(whole.state_dict())
    latents = whole.sample_latents(4, "cpu")
    torch.testing.assert_close(cut(latents), whole(latents)[:, :, 2:-2, 2:-2], rtol=1e-4, atol=1e-5)


def test_28_pixels_are_padded_with_black():
    torch.manual_seed(3)
    whole, padding = DCGANDiscriminator(32, 1, width=2), DCGANDiscriminator(28, 1, width=2)
    padding.load_state_dict(whole.state_dict())
    images = -torch.ones(2, 1, 32, 32)
    images[:, :, 2:-2, 2:-2] = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(padding(images[:, :, 2:-2, 2:-2]), whole(images), rtol=1e-4, atol=1e-5)


def test_first_weights():
    torch.manual_seed(0)
    for network in (DCGANGenerator(32, 1, width=16), DCGANDiscriminator(32, 1, width=16)):
        for layer in layers(network, (nn.Conv2d, nn.ConvTranspose2d)):
            assert layer.weight.mean().item() == pytest.approx(0, abs=0.003)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert not layer.bias.any()


def test_normalization():
    assert [layer.affine for layer in layers(DCGANGenerator(64, 1, width=2), nn.BatchNorm2d)] == [False] * 4
    assert [layer.affine for layer in layers(DCGANDiscriminator(64, 1, width=1), nn.BatchNorm2d)] == [False] * 3
    for normalization in ("none", "spectral"):
        network = DCGANDiscriminator(64, 1, width=2, normalization=normalization)
        assert not layers(network, nn.BatchNorm2d)
        normalized = [parametrize.is_parametrized(layer, "weight") for layer in layers(network, nn.Conv2d)]
        assert normalized == [normalization == "spectral"] * 5


def test_a_critic_without_normalization_sees_each_sample_by_itself():
    torch.manual_seed(0)
    critic, images = DCGANDiscriminator(16, 1, width=4, normalization="none"), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(critic(images)[:1], critic(images[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalization", ["batch", "spectral", "none"])
def test_gradients_reach_every_parameter(normalization):
    torch.manual_seed(0)
    generator = DCGANGenerator(16, 1, latent_dim=8, width=2)
    discriminator = DCGANDiscriminator(16, 1, width=2, normalization=normalization)
    discriminator(generator(generator.sample_latents(6, "cpu"))).square().sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            # A bias in front of a batch normalization has no effect, and rightly no gradient.
            assert parameter.grad.any() or name.endswith("bias"), name


@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize(("arguments", "named"), [({"image_size": 6}, "image_size"), ({"image_size": 33}, "33")])
def test_bad_size(kind, arguments, named):
    with pytest.raises(ConfigurationError, match=named):
        kind(**arguments)


def test_bad_width_and_normalization():
    with pytest.raises(ConfigurationError, match=r"^width: got 0, expected at least 1"):
        DCGANGenerator(width=0)
    with pytest.raises(ConfigurationError, match="normalization"):
        DCGANDiscriminator(normalization="layer")  # type: ignore[arg-type]
