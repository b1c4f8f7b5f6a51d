from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganmc_lightning.networks import Frozen


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(64, 5), nn.Dropout(0.5)
    )


@pytest.fixture
def images():
    return torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Holder(nn.Module):
    """Something that trains a layer of its own beside a frozen network."""

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


@pytest.mark.parametrize("mode", ["eval", "paper"])
def test_nothing_moves_while_its_holder_trains(images, mode):
    holder = Holder(Frozen(network(), mode=mode))
    before, own = state(holder.frozen), state(holder.own)
    assert any("running_mean" in key for key in before)
    optimizer = torch.optim.AdamW(holder.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        holder.train()
        holder.frozen.train()
        optimizer.zero_grad()
        holder(images).square().mean().backward()
        optimizer.step()
    assert same(before, state(holder.frozen))
    assert not same(own, state(holder.own))


def test_no_graph_and_no_gradients(images):
    frozen = Frozen(network())
    assert not frozen(images.requires_grad_()).requires_grad
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_no_graph_even_where_someone_unfreezes_it(images):
    frozen = Frozen(network()).requires_grad_(True)
    assert not frozen(images).requires_grad


@pytest.mark.parametrize("mode", ["eval", "paper"])
def test_evaluation_mode_gives_the_network_as_it_is(images, mode):
    expected = network().eval()(images)
    assert torch.equal(Frozen(network(), mode=mode).eval()(images), expected)


def test_train_does_not_reach_it(images):
    frozen = Frozen(network())
    assert frozen.train() is frozen
    assert not any(module.training for module in frozen.modules())
    assert torch.equal(frozen(images), network().eval()(images))


def test_paper_mode_leaves_dropout_on_in_training_alone(images):
    holder = Holder(Frozen(network(), mode="paper")).train()
    on = [type(module) for module in holder.frozen.modules() if module.training]
    assert on == [nn.Dropout2d, nn.Dropout]
    assert not torch.equal(holder.frozen(images), holder.frozen(images))
    holder.eval()
    assert not any(module.training for module in holder.modules())
    assert torch.equal(holder.frozen(images), holder.frozen(images))


@pytest.mark.parametrize(
    "layer", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]
)
def test_paper_mode_knows_every_dropout(layer):
    assert Frozen(layer(), mode="paper").train().network.training


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


@pytest.mark.parametrize("given", [{"mean": (0.5,)}, {"std": (0.5,)}])
def test_half_of_the_statistics(given):
    with pytest.raises(ValueError, match="mean and std go together"):
        Frozen(nn.Identity(), **given)
