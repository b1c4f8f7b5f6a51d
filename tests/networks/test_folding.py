from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torchvision.models import mobilenet_v3_small, resnet18

from ganmc_lightning.networks import (
    CIFARResNet,
    Frozen,
    Normalize,
    NormalizedInput,
    PretrainedClassifier,
    ResNet18,
    WideResNet,
)
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


def reused(block, x):
    features = block.convolution(x)
    return block.normalization(features) + features


def changed_between(block, x):
    return block.normalization(block.convolution(x).relu_())


def convolution_called_twice(block, x):
    return block.normalization(block.convolution(x)) + block.convolution(x).mean()


def normalization_called_twice(block, x):
    return block.normalization(block.convolution(x)) + block.normalization(x[:, :1].expand(-1, 4, -1, -1))


def two_normalizations(block, x):
    features = block.convolution(x)
    return block.normalization(features) + block.other(features)


def reads_a_weight(block, x):
    return block.normalization(block.convolution(x)) * block.normalization.weight.sum()


def random(block, x):
    return block.normalization(block.convolution(x)) * torch.rand(1)


UNSUITABLE = [
    reused,
    changed_between,
    convolution_called_twice,
    normalization_called_twice,
    two_normalizations,
    reads_a_weight,
    random,
]


@pytest.mark.parametrize("run", UNSUITABLE, ids=lambda run: run.__name__)
def test_not_folded_if_outputs_could_change(run):
    assert fold_batchnorm(trained(Block(run)), images()) is None


def control_flow(block, x):
    return block.normalization(block.convolution(x)) if x.mean() < 1 else x


def without_autocast(block, x):
    with torch.autocast("cpu", enabled=False):
        return block.normalization(block.convolution(x.float()))


@pytest.mark.parametrize("run", [control_flow, without_autocast], ids=lambda run: run.__name__)
def test_forward_of_the_network_is_run(run):
    """Its Python code decides in each call."""
    network = trained(Block(run))
    folded = fold_batchnorm(network, images())
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules()) == 1  # the other one is not used
    for inputs in (images(), images() + 5):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            expected, outputs = network(inputs), folded(inputs)
        tolerance = 1e-4 if outputs.dtype == torch.float32 else 2e-2
        assert torch.allclose(outputs, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda network: NormalizedInput(Normalize((0.5,) * 3, (0.2,) * 3), network),
        lambda network: PretrainedClassifier(network, (0.5,) * 3, (0.2,) * 3),
        Frozen,
    ],
)
def test_wrapped_networks_are_folded(wrap):
    network = wrap(trained(resnet18(num_classes=4))).eval()
    folded = fold_batchnorm(network, images())
    with torch.no_grad():
        expected = network(images())
        assert torch.allclose(folded(images()), expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
    assert normalizations(folded) == 0


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv3_small_050", "regnety_002", "resnet18"])
def test_networks_of_timm(name):
    """Their batch normalization contains the activation, except in ResNets."""
    timm = pytest.importorskip("timm")
    network = trained(timm.create_model(name, num_classes=4))
    folded = fold_batchnorm(network, images())
    with torch.no_grad():
        expected = network(images())
        assert torch.allclose(folded(images()), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())


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


def test_random_state_and_hooks_are_unchanged():
    def draws(block, x):
        torch.rand(3)
        return block.normalization(block.convolution(x))

    network = trained(Block(draws))
    random_state = torch.get_rng_state()
    assert fold_batchnorm(network, images()) is not None
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not any(layer._forward_hooks for layer in network.modules())


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


def test_frozen_network_with_changed_weights_is_not_folded():
    frozen = Frozen(trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))))
    frozen.fold(images(2))
    assert frozen.folded is not frozen.network
    with torch.no_grad():
        frozen.network[0].weight.mul_(2)
    assert frozen.folded is frozen.network
    assert torch.equal(frozen(images()), frozen.network(images()))
