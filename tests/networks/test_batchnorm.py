from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.batchnorm import frozen_batchnorm_stats, reject_single_values


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4, track_running_stats=False))


def test_outputs_equal_training_mode_and_statistics_are_unchanged():
    one, other = network(), network()
    inputs = torch.randn(6, 3)
    before = copy.deepcopy(one.state_dict())
    with frozen_batchnorm_stats(one):
        kept = one(inputs)
    assert torch.equal(kept, other(inputs))
    assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())
    assert int(other[1].num_batches_tracked) == 1
    one(inputs)  # and move again afterwards
    assert int(one[1].num_batches_tracked) == 1
    assert not one[3].track_running_stats


def test_put_back_behind_an_error():
    one = network()
    with pytest.raises(RuntimeError), frozen_batchnorm_stats(one):
        one(torch.randn(2, 7))
    assert one[1].track_running_stats


def test_evaluation_mode_uses_the_running_statistics():
    one = network().eval()
    inputs = torch.randn(6, 3)
    expected = one(inputs)
    with frozen_batchnorm_stats(one):
        assert torch.equal(one(inputs), expected)


def test_a_single_value_raises_by_name():
    layers = network()
    handles = reject_single_values(layers, "use larger batches")
    layers(torch.randn(2, 3))
    layers[:3].eval()(torch.randn(1, 3))
    with pytest.raises(
        ConfigurationError,
        match=r"^1 \(BatchNorm1d\): got one value per channel in training, expected at least 2; use larger",
    ):
        layers.train()(torch.randn(1, 3))
    assert not any(layer._forward_pre_hooks for layer in layers)  # nothing is left behind
    assert len(handles) == 2
    convolutions = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    reject_single_values(convolutions, "use larger batches")
    convolutions(torch.randn(1, 1, 4, 4))  # one sample has four values per channel
    with pytest.raises(ConfigurationError, match=r"^1 \(BatchNorm2d\)"):
        convolutions(torch.randn(1, 1, 3, 3))
