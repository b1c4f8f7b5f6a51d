"""Properties of all classifiers: shape of logits, features, gradients, determinism."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from ganmc_lightning.networks import (
    NIN,
    CIFARResNet,
    FiveLayerCNN,
    LeNet,
    LeNet4,
    MLPClassifier,
    PreActResNet,
    ResNet18,
    WideResNet,
)

DENSE_HEAD = {  # these require the image size, and have a smallest one
    "lenet": (LeNet, 16),
    "lenet4": (LeNet4, 16),
    "nin": (NIN, 8),
    "cnn": (FiveLayerCNN, 8),
    "cnn-bn": (partial(FiveLayerCNN, batch_norm=True, dropout=0.5), 8),
}
POOLED_HEAD = {
    "cifar-resnet": partial(CIFARResNet, 8),
    "preact": partial(PreActResNet, 11),
    "preact-basic": partial(PreActResNet, 8, bottleneck=False),
    "resnet18": ResNet18,
    "wrn": partial(WideResNet, 10, 2, 0.3),
}
SIZES = [8, 9, 15, 16, 17, 28, 31, 32, 63, 64]


def build(name, in_channels, image_size, num_classes):
    if name == "mlp":
        return MLPClassifier(in_channels * image_size**2, num_classes, hidden=(32, 16), dropout=0.2)
    if name in POOLED_HEAD:
        return POOLED_HEAD[name](in_channels=in_channels, num_classes=num_classes)
    return DENSE_HEAD[name][0](in_channels=in_channels, image_size=image_size, num_classes=num_classes)


NAMES = [*DENSE_HEAD, *POOLED_HEAD, "mlp"]


@pytest.fixture(params=NAMES)
def network(request):
    torch.manual_seed(0)
    return build(request.param, in_channels=3, image_size=16, num_classes=4)


@pytest.fixture
def images():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "image_size"),
    [(name, size) for name in NAMES for size in SIZES if size >= DENSE_HEAD.get(name, (None, 8))[1]],
)
def test_output_shape(name, image_size, in_channels):
    with torch.device("meta"):
        network = build(name, in_channels, image_size, num_classes=7)
        logits = network(torch.zeros(5, in_channels, image_size, image_size))
    assert logits.shape == (5, 7)


def test_features_then_classifier(network, images):
    network.eval()
    seen = []
    network.features.register_forward_hook(lambda module, args, output: seen.append(output.clone()))
    logits = network(images)
    assert isinstance(network.classifier, nn.Linear)
    assert seen[0].shape == (4, network.classifier.in_features)
    by_hand = seen[0] @ network.classifier.weight.T + network.classifier.bias
    assert torch.allclose(logits, by_hand, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter(network, images):
    weights = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    (network(images) * weights).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_evaluation_is_deterministic_and_sample_by_sample(network, images):
    network.eval()
    logits = network(images)
    assert torch.equal(logits, network(images))
    assert torch.allclose(logits[1:2], network(images[1:2]), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits[0], logits[1], atol=1e-6)


def test_inputs_are_unchanged_and_may_require_gradients(network, images):
    leaf = images.clone().requires_grad_()
    network(leaf).sum().backward()
    assert torch.equal(leaf.detach(), images)
    assert leaf.grad is not None
    assert leaf.grad.any()


def test_channels_last_gives_the_same_logits(network, images):
    network.eval()
    expected = network(images)
    got = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        partial(LeNet4, 3, 16, 4, widths=(8, 8, 16)),
        partial(FiveLayerCNN, 3, 8, 4, widths=(8, 8, 16, 16)),
        partial(FiveLayerCNN, 3, 8, 4, widths=(8, 8, 16, 16), batch_norm=True),
        partial(NIN, 3, 8, 4, hidden=32, dropout=0.0),
        partial(CIFARResNet, 8, 3, 4),
        partial(PreActResNet, 11, 3, 4),
    ],
)
def test_one_batch_is_learnt_by_heart(make):
    torch.manual_seed(0)
    network = make()
    side = 16 if isinstance(network, LeNet4) else 8
    images, labels = torch.rand(8, 3, side, side) * 2 - 1, torch.arange(8) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
