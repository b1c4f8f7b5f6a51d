from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Frozen


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(64, 5), nn.Dropout(0.5)
    )


@pytest.fixture
def images():
    return torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Parent(nn.Module):
    """Module with a frozen network and a trainable layer."""

    def __init__(self, frozen):
        super().__init__()
        self.frozen = frozen
        self.own = nn.Linear(5, 1)

    def forward(self, inputs):
        return self.own(self.frozen(inputs))


def state(module):
    return copy.deepcopy(module.state_dict())


def same(before, after):
    return before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("dropout", [False, True])
def test_state_is_unchanged_while_its_parent_trains(images, dropout):
    parent = Parent(Frozen(network(), dropout=dropout))
    before, own = state(parent.frozen), state(parent.own)
    assert any("running_mean" in key for key in before)
    optimizer = torch.optim.AdamW(parent.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        parent.train()
        parent.frozen.train()
        optimizer.zero_grad()
        parent(images).square().mean().backward()
        optimizer.step()
    assert same(before, state(parent.frozen))
    assert not same(own, state(parent.own))


def test_no_graph_and_no_gradients(images):
    frozen = Frozen(network())
    assert not frozen(images.requires_grad_()).requires_grad
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_no_graph_even_if_unfrozen(images):
    frozen = Frozen(network()).requires_grad_(True)
    assert not frozen(images).requires_grad


@pytest.mark.parametrize("dropout", [False, True])
def test_evaluation_mode_is_equal_to_the_network(images, dropout):
    expected = network().eval()(images)
    assert torch.equal(Frozen(network(), dropout=dropout).eval()(images), expected)


def test_train_keeps_evaluation_mode(images):
    frozen = Frozen(network())
    assert frozen.train() is frozen
    assert not any(module.training for module in frozen.modules())
    assert torch.equal(frozen(images), network().eval()(images))


def test_dropout_follows_the_training_mode(images):
    parent = Parent(Frozen(network(), dropout=True)).train()
    on = [type(module) for module in parent.frozen.modules() if module.training]
    assert on == [nn.Dropout2d, nn.Dropout]
    assert not torch.equal(parent.frozen(images), parent.frozen(images))
    parent.eval()
    assert not any(module.training for module in parent.modules())
    assert torch.equal(parent.frozen(images), parent.frozen(images))


@pytest.mark.parametrize(
    "layer", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]
)
def test_every_dropout_layer_is_recognized(layer):
    assert Frozen(layer(), dropout=True).train().network.training


def test_own_statistics(images):
    """The [0, 1] pixel 0.75 of a channel with mean 0.5 and deviation 0.125 is two deviations up."""
    frozen = Frozen(nn.Identity(), mean=(0.5, 0.25, 0.0), std=(0.125, 0.5, 1.0))
    pixels = torch.full((1, 3, 1, 1), 0.75 * 2 - 1)
    assert frozen(pixels).flatten().tolist() == [2.0, 1.0, 0.75]
    mean, std = torch.tensor([0.5, 0.25, 0.0]), torch.tensor([0.125, 0.5, 1.0])
    expected = (((images + 1) / 2).permute(0, 2, 3, 1) - mean) / std
    assert torch.allclose(frozen(images), expected.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-5)


def test_without_statistics_inputs_pass_unchanged(images):
    assert torch.equal(Frozen(nn.Identity())(images), images)


def test_dropout_without_a_dropout_layer():
    """The dropout of a function such as torch.nn.functional.dropout follows no layer's training mode."""
    with pytest.raises(ConfigurationError, match=r"^dropout: got true for Linear, which has no dropout layer"):
        Frozen(nn.Linear(2, 2), dropout=True)


@pytest.mark.parametrize("given", [{"mean": (0.5,)}, {"std": (0.5,)}])
def test_half_of_the_statistics(given):
    with pytest.raises(ValueError, match=r"^mean and std: got .*, expected both or neither"):
        Frozen(nn.Identity(), **given)
