from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torchvision.models import mobilenet_v3_small, resnet18

from ganmc_lightning.networks import CIFARResNet, Frozen, ResNet18, WideResNet
from ganmc_lightning.networks.folding import NORMALIZATIONS, fold_batchnorm


def trained(network):
    """Set statistics and affine parameters of batch normalization to values that matter."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            shape = layer.num_features
            with torch.no_grad():
                layer.weight.copy_(torch.rand(shape, generator=generator) + 0.5)
                layer.bias.copy_(torch.randn(shape, generator=generator))
            layer.running_mean.copy_(torch.randn(shape, generator=generator))
            layer.running_var.copy_(torch.rand(shape, generator=generator) + 0.5)
    return network.eval()


def images(n=4, size=32):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(2))


def normalizations(network):
    return sum(type(layer) in NORMALIZATIONS for layer in network.modules())


class Block(nn.Module):
    """A convolution and a normalization, applied by ``run``."""

    def __init__(self, run=lambda block, x: block.normalization(block.convolution(x))):
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.normalization = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.other = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(()))
        self.run = run

    def forward(self, x):
        return self.run(self, x)


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (ResNet18, 0),
        (lambda: CIFARResNet(depth=20), 0),
        (resnet18, 0),
        (mobilenet_v3_small, 0),
        (lambda: WideResNet(depth=10, widen_factor=1), 4),  # preactivation: half of its layers follow additions
    ],
    ids=["ResNet18", "CIFARResNet", "torchvision ResNet18", "MobileNetV3", "WideResNet"],
)
def test_equal_outputs_without_normalization(build, left):
    torch.manual_seed(0)
    network = trained(build())
    before = copy.deepcopy(network.state_dict())
    folded = fold_batchnorm(network, images(2))
    with torch.no_grad():
        expected, outputs = network(images(5)), folded(images(5))
    assert torch.allclose(outputs, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
    assert normalizations(folded) == left
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    own = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert not own & {tensor.data_ptr() for tensor in folded.state_dict().values()}


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_exact_in_float64(kind):
    torch.manual_seed(0)
    convolution = getattr(nn, f"Conv{kind}d")(3, 4, 3, stride=2, padding=1, groups=1, padding_mode="circular")
    network = trained(nn.Sequential(convolution, getattr(nn, f"BatchNorm{kind}d")(4))).double()
    inputs = torch.randn(2, 3, *[6] * kind, dtype=torch.float64)
    folded = fold_batchnorm(network, inputs)
    with torch.no_grad():
        assert torch.allclose(folded(inputs), network(inputs), rtol=1e-12, atol=1e-12)
    assert normalizations(folded) == 0


def twice(block, x):
    return block.normalization(block.convolution(x)) + block.other(block.convolution(x))


def reused(block, x):
    features = block.convolution(x)
    return block.normalization(features) + features


def control_flow(block, x):
    return block.normalization(block.convolution(x)) if x.mean() > -1e9 else x


def random_constant(block, x):
    return block.normalization(block.convolution(x)) * torch.rand(1).item()


def counted(block, x):
    block.calls = getattr(block, "calls", 0) + 1
    return block.normalization(block.convolution(x)) * block.calls


@pytest.mark.parametrize("run", [twice, reused, control_flow, random_constant, counted], ids=lambda run: run.__name__)
def test_not_folded_if_outputs_could_change(run):
    assert fold_batchnorm(trained(Block(run)), images()) is None


def hooked(network):
    network.convolution.register_forward_hook(lambda layer, inputs, output: 2 * output)


def parametrized(network):
    parametrizations.weight_norm(network.convolution)


def training(network):
    network.train()


def in_half(network):
    network.bfloat16()


def without_statistics(network):
    network.normalization = nn.BatchNorm2d(4, track_running_stats=False).eval()


def subclass(network):
    network.normalization = type("Custom", (nn.BatchNorm2d,), {})(4).eval()


CHANGES = [hooked, parametrized, training, in_half, without_statistics, subclass]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_not_folded_if_a_layer_does_more(change):
    network = trained(Block())
    change(network)
    assert fold_batchnorm(network, images().to(network.scale.dtype)) is None


def test_not_folded_if_compiled():
    network = trained(Block())
    network.compile(backend="eager")
    assert fold_batchnorm(network, images()) is None
    assert fold_batchnorm(torch.compile(trained(Block()), backend="eager"), images()) is None


def test_state_of_the_network_and_random_state_are_unchanged():
    """Forward functions may store tensors and draw random numbers."""

    def stores(block, x):
        block.last = x
        torch.rand(3)
        return block.normalization(block.convolution(x))

    network = trained(Block(stores))
    random_state = torch.get_rng_state()
    assert normalizations(fold_batchnorm(network, images())) == 0
    assert type(network.last) is torch.Tensor
    assert torch.equal(torch.get_rng_state(), random_state)


def test_frozen_network_uses_the_copy_until_it_changes():
    frozen = Frozen(trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))), mean=(0.5,) * 3, std=(0.2,) * 3)
    expected, names = frozen(images()), list(frozen.state_dict())
    frozen.fold(images(2))
    assert frozen.folded is not frozen.network
    assert torch.allclose(frozen(images()), expected, rtol=1e-4, atol=1e-5)
    assert list(frozen.state_dict()) == names
    assert copy.deepcopy(frozen).folded.training is False
    assert normalizations(copy.deepcopy(frozen).folded) == 1
    frozen.double()
    assert frozen.folded is frozen.network
    assert torch.allclose(frozen(images().double()).float(), expected, rtol=1e-4, atol=1e-5)


def test_frozen_network_with_active_dropout_is_not_folded():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)))
    frozen = Frozen(network, dropout=True)
    frozen.fold(images())
    assert frozen.folded is network
