"""AC-GAN networks for rows: counts, conditioning, unbounded output, spectral normalization."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import TabularDiscriminator, TabularGenerator


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return TabularGenerator(num_features=10, num_classes=3)


@pytest.fixture
def latents(generator):
    return generator.sample_latents(6, "cpu", torch.Generator().manual_seed(0))


def test_parameters():
    assert count(TabularGenerator(10)) == 2 * 100 + 101 * 50 + 51 * 10
    assert count(TabularGenerator(28, 4, 20, hidden=(30, 40))) == 4 * 20 + 21 * 30 + 31 * 40 + 41 * 28
    assert count(TabularDiscriminator(10)) == 11 * 50 + 51 * 1 + 51 * 2
    assert count(TabularDiscriminator(28, 4, hidden=(30, 40))) == 29 * 30 + 31 * 40 + 41 * 5
    assert count(TabularDiscriminator(10, normalization="spectral")) == count(TabularDiscriminator(10))


def test_shapes(generator, latents):
    rows = generator(latents, torch.tensor([0, 1, 2, 0, 1, 2]))
    assert rows.shape == (6, 10)
    assert rows.dtype == torch.float32
    source, classes = TabularDiscriminator(10, 3)(rows)
    assert source.shape == (6,)
    assert classes.shape == (6, 3)


def test_rows_are_unbounded(generator, latents):
    rows = generator(100 * latents, torch.zeros(6, dtype=torch.int64))
    assert rows.max() > 3
    assert rows.min() < -3


def test_generator_by_hand():
    generator = TabularGenerator(num_features=1, num_classes=2, latent_dim=2, hidden=(1,))
    with torch.no_grad():
        generator.embedding.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.5]]))
        hidden, output = (layer for layer in generator.network if isinstance(layer, nn.Linear))
        hidden.weight.copy_(torch.tensor([[1.0, 1.0]]))
        hidden.bias.zero_()
        output.weight.fill_(-3.0)
        output.bias.fill_(1.0)
    latents = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 4.0]])
    # class 0: 1 * 1 + 2 * 2 = 5 -> -14;  class 1: -1 + 1 = 0 -> 1;  class 1: -1 + 2 = 1 -> -2
    rows = generator(latents, torch.tensor([0, 1, 1]))
    assert torch.equal(rows, torch.tensor([[-14.0], [1.0], [-2.0]]))


def test_skip_connections_by_hand():
    generator = TabularGenerator(num_features=1, num_classes=1, latent_dim=1, hidden=(1, 1), skip_connections=True)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
        generator.embedding.weight.fill_(2.0)
        first, second, output = generator.network
        first.layer.weight.fill_(3.0)
        second.layer.weight.copy_(torch.tensor([[1.0, -1.0]]))  # of the first layer's output and of the noise
        output.weight.copy_(torch.tensor([[100.0, 10.0, 1.0]]))
    # noise 1 -> 2; first: relu(6); second: relu(6 - 2) = 4;  noise -1 -> -2; relu(-6) = 0; relu(0 + 2) = 2
    rows = generator(torch.tensor([[1.0], [-1.0]]), torch.zeros(2, dtype=torch.int64))
    assert rows.tolist() == [[400 + 60 + 2], [200 + 0 - 2]]


def test_skip_connections_have_more_inputs_per_layer():
    assert count(TabularGenerator(10, 2, 20, (30, 40), skip_connections=True)) == 40 + 21 * 30 + 51 * 40 + 91 * 10


def test_generator_requires_labels(generator, latents):
    with pytest.raises(ValueError, match="labels"):
        generator(latents)


@pytest.mark.parametrize(("skip_connections", "normalization"), [(False, "none"), (False, "spectral"), (True, "none")])
def test_gradients_reach_every_parameter(latents, skip_connections, normalization):
    generator = TabularGenerator(10, 3, hidden=(20, 20), skip_connections=skip_connections)
    discriminator = TabularDiscriminator(10, 3, hidden=(20, 20), normalization=normalization)
    source, classes = discriminator(generator(latents, torch.tensor([0, 1, 2, 0, 1, 2])))
    (source.sum() + classes.square().sum()).backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_spectral_normalization_bounds_every_layer():
    torch.manual_seed(0)
    discriminator = TabularDiscriminator(10, hidden=(20, 20), normalization="spectral")
    for _ in range(100):  # one power iteration each
        discriminator(torch.randn(2, 10))
    weighted = [layer for layer in discriminator.modules() if isinstance(layer, nn.Linear)]
    assert len(weighted) == 4
    for layer in weighted:
        assert parametrize.is_parametrized(layer, "weight")
        assert torch.linalg.matrix_norm(layer.weight, ord=2).item() == pytest.approx(1.0, abs=0.02)
    plain = TabularDiscriminator(10)
    assert not any(parametrize.is_parametrized(layer) for layer in plain.modules())


def test_unknown_normalization():
    with pytest.raises(ConfigurationError, match=r"^normalization: got 'batch', expected one of none, spectral"):
        TabularDiscriminator(3, normalization="batch")


def test_dropout_is_on_in_training_only():
    torch.manual_seed(0)
    discriminator = TabularDiscriminator(10, hidden=(40,), dropout=0.5)
    rows = torch.randn(4, 10)
    assert not torch.equal(discriminator(rows)[0], discriminator(rows)[0])
    discriminator.eval()
    assert torch.equal(discriminator(rows)[0], discriminator(rows)[0])


def test_copies_and_reloaded_states_agree(generator, latents):
    labels = torch.zeros(6, dtype=torch.int64)
    rows = generator(latents, labels)
    assert torch.equal(copy.deepcopy(generator)(latents, labels), rows)
    discriminator = TabularDiscriminator(10, 3, normalization="spectral").eval()
    fresh = TabularDiscriminator(10, 3, normalization="spectral").eval()
    fresh.load_state_dict(discriminator.state_dict())
    assert torch.allclose(fresh(rows)[1], discriminator(rows)[1], rtol=1e-5, atol=1e-5)


def test_output_noise_in_evaluation_mode_only():
    torch.manual_seed(0)
    smoothed = TabularGenerator(4, 2, latent_dim=6, latent_std=0.5, output_noise_std=0.3)
    plain = TabularGenerator(4, 2, latent_dim=6, latent_std=0.5)
    plain.load_state_dict(smoothed.state_dict())
    latents, labels = smoothed.sample_latents(2000, "cpu"), torch.arange(2000) % 2
    assert latents.shape == (2000, 10)
    without = plain(latents[:, 4:], labels)
    torch.testing.assert_close(smoothed.train()(latents, labels), without, rtol=1e-5, atol=1e-6)
    noise = smoothed.eval()(latents, labels) - without
    torch.testing.assert_close(noise, 0.6 * latents[:, :4], rtol=1e-4, atol=1e-5)
    assert noise.std().item() == pytest.approx(0.3, rel=0.05)
    with pytest.raises(ConfigurationError, match=r"^output_noise_std: got -0\.1, expected at least 0"):
        TabularGenerator(4, output_noise_std=-0.1)
