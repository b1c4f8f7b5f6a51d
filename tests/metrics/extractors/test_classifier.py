from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import ClassifierExtractor
from ganmc_lightning.networks import NIN, CIFARResNet, FiveLayerCNN, Frozen, LeNet, LeNet4, MLPClassifier, PreActResNet


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (LeNet(widths=(4, 6, 20)), (3, 32, 32)),
        (LeNet4(), (1, 28, 28)),
        (FiveLayerCNN(1, 8, 5, (4, 4, 4, 9), dropout=0.5, batch_norm=True), (1, 8, 8)),
        (NIN(1, 8, hidden=7), (1, 8, 8)),
        (CIFARResNet(8), (3, 8, 8)),
        (PreActResNet(11), (3, 8, 8)),
        (MLPClassifier(12, 3, (7,)), (12,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_features_of_our_classifiers(network, shape):
    """Features before ``classifier``, and its logits."""
    samples = torch.rand(3, *shape) * 2 - 1
    if len(shape) == 3:
        samples = samples.mul(127).round().add(128).to(torch.uint8)
    extractor = ClassifierExtractor(network, sample_shape=shape)
    features, logits = extractor(samples)
    network.eval()
    with torch.no_grad():
        expected = network.features(to_float_images(samples))
        assert torch.equal(features, expected)
        assert torch.equal(logits, network(to_float_images(samples)))
    assert (extractor.num_features, extractor.num_classes) == (features.shape[1], logits.shape[1])


def test_a_frozen_teacher_with_its_own_statistics(make_images):
    network = FiveLayerCNN(1, 8, 3, (4, 4, 4, 9))
    images = make_images(4, 0)
    features, logits = ClassifierExtractor(Frozen(network, mean=[0.3], std=[0.2]))(images)
    assert torch.equal(logits, Frozen(network, mean=[0.3], std=[0.2])(to_float_images(images)))
    assert torch.allclose(network.classifier(features), logits, rtol=1e-5, atol=1e-6)


def test_the_network_given_stays_trainable():
    network = LeNet4().train()
    extractor = ClassifierExtractor(network)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    before = extractor.digest, extractor(torch.zeros(1, 1, 28, 28)).logits
    with torch.no_grad():
        network.classifier.bias += 1
    assert torch.equal(extractor(torch.zeros(1, 1, 28, 28)).logits, before[1])


class Changed(nn.Module):
    """A classifier with a changed output."""

    def __init__(self, change):
        super().__init__()
        self.network = MLPClassifier(6, 3, (5,))
        self.change = change

    def forward(self, inputs):
        return self.change(self.network(inputs))


@pytest.mark.parametrize("layer", [None, "network.features.1"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z: z.softmax(dim=1), "returned probabilities .*remove its final softmax"),
        (lambda z: (z, z), r"returned a tuple of 2, .*network\(inputs\)\[0\]"),
        (lambda z: {"logits": z}, "returned a dict with logits"),
    ],
)
def test_answers_that_are_not_logits(change, message, layer):
    """The Inception Score applies softmax to the logits."""
    with pytest.raises(ConfigurationError, match=message):
        ClassifierExtractor(Changed(change), layer, (6,))
    if layer is None:  # without a shape it is tried on the first samples
        with pytest.raises(ConfigurationError, match=message):
            ClassifierExtractor(Changed(change))(torch.zeros(4, 6))


class TestLayer:
    def test_maps_are_averaged_over_space(self, make_images):
        network = FiveLayerCNN(1, 8, 3, (4, 6, 8, 12))
        extractor = ClassifierExtractor(network, "features.3", (1, 8, 8))
        assert extractor.num_features == 6
        images = make_images(5, 0)
        with torch.no_grad():
            expected = network.features[:4](to_float_images(images)).mean(dim=(2, 3))
        assert torch.allclose(extractor(images).features, expected, rtol=1e-5, atol=1e-5)

    def test_what_follows_in_place_does_not_reach_it(self):
        """An inplace ReLU after the layer would clip its output."""
        network = MLPClassifier(6, 3, (5,))
        rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
        features = ClassifierExtractor(network, "features.1", (6,))(rows).features
        with torch.no_grad():
            assert torch.equal(features, network.features[1](rows))
        assert features.min() < 0

    def test_other_shapes_are_flattened(self):
        network = nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten(), nn.Linear(6, 3))
        rows = torch.arange(12.0).view(2, 6)
        assert torch.equal(ClassifierExtractor(network, "0", (6,))(rows).features, rows)

    def test_settings(self):
        network = MLPClassifier(6, 3, (5,))
        assert ClassifierExtractor(network).settings()["layer"] == "input of classifier"
        settings = ClassifierExtractor(network, "features.1", (6,), name="named").settings()
        assert settings["layer"] == "features.1"
        assert settings["extractor"] == "named (MLPClassifier)"
        assert settings["resize"] == "none"

    def test_unknown(self):
        with pytest.raises(
            ConfigurationError, match=r"has no layer 'fc', expected one of features, features.0, .*classifier"
        ):
            ClassifierExtractor(MLPClassifier(6, 3, (5,)), "fc", (6,))

    def test_without_a_shape(self):
        with pytest.raises(ConfigurationError, match=r"layer 'features.1': sample_shape is required"):
            ClassifierExtractor(MLPClassifier(6, 3, (5,)), "features.1")

    def test_of_another_shape(self):
        with pytest.raises(
            ConfigurationError, match=r"classifier \(MLPClassifier\) does not accept samples of shape \(7,\)"
        ):
            ClassifierExtractor(MLPClassifier(6, 3, (5,)), "features.1", (7,))

    def test_that_is_never_run(self):
        class Idle(nn.Module):
            def __init__(self):
                super().__init__()
                self.used, self.idle = nn.Linear(4, 2), nn.Linear(4, 2)

            def forward(self, inputs):
                return self.used(inputs)

        with pytest.raises(ConfigurationError, match="layer 'idle' of Idle: got no tensor"):
            ClassifierExtractor(Idle(), "idle", (4,))


def test_shape_is_tried_at_once():
    with pytest.raises(ConfigurationError, match=r"does not accept samples of shape \(3, 28, 28\)"):
        ClassifierExtractor(LeNet4(), sample_shape=(3, 28, 28))


def test_no_linear_layer():
    with pytest.raises(
        ConfigurationError, match=r"classifier \(Conv2d\) has no linear layer: specify the feature layer"
    ):
        ClassifierExtractor(nn.Conv2d(1, 2, 3))


def test_the_last_linear_layer_is_not_the_logits():
    """Features or logits of an unexpected size raise an error."""
    network = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (3, 2)), nn.AvgPool1d(2), nn.Flatten())
    with pytest.raises(ConfigurationError, match=r"returned shape \(2, 3\) for 2 samples"):
        ClassifierExtractor(network)(torch.zeros(2, 4))
