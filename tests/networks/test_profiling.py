from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.networks import TabularGenerator
from ganmc_lightning.networks.profiling import count_flops, count_parameters, throughput


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(64, 5))


def test_parameters_by_hand():
    # 4 filters of 3 * 9 weights and a bias, 4 scales and shifts, 64 * 5 weights and 5 biases; no running statistics.
    assert count_parameters(network()) == 4 * 28 + 8 + 325
    assert count_parameters(network().requires_grad_(False)) == 445


def test_shared_parameters_count_once():
    layer = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 12


@pytest.mark.parametrize("batch", [1, 7])
def test_operations_by_hand(batch):
    # 6x6 -> 4x4: 16 places, 4 filters, 27 products; then 64 x 5. Every product comes with an addition.
    flops = count_flops(network(), torch.zeros(batch, 3, 6, 6))
    assert flops == batch * 2 * (16 * 4 * 27 + 64 * 5)


def test_operations_of_transformers():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    # 5 tokens of width 8: three projections and the output, two products of attention, two layers of width 16.
    products = 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
    assert count_flops(layer, torch.zeros(1, 5, 8)) == 2 * products
    assert torch.backends.mha.get_fastpath_enabled()


def test_several_inputs():
    generator = TabularGenerator(num_features=7, num_classes=2, latent_dim=3, hidden=(5,))
    assert count_flops(generator, torch.zeros(1, 3), torch.tensor([1])) == 2 * (3 * 5 + 5 * 7)


@pytest.mark.parametrize("measure", [count_flops, lambda *args: throughput(*args, seconds=0.01, rounds=1)])
@pytest.mark.parametrize("training", [True, False])
def test_training_flags_and_state_are_unchanged(measure, training):
    net = network().train(training)
    net[3].eval()  # e.g. a frozen submodule: the flag of each module is restored, not that of the network
    before = {key: value.clone() for key, value in net.state_dict().items()}
    measure(net, torch.randn(4, 3, 6, 6))
    assert [module.training for module in net] == [training, training, training, False, training, training]
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())
