from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import (
    NIN,
    CIFARResNet,
    FiveLayerCNN,
    Frozen,
    IntermediateLayer,
    LeNet,
    LeNet4,
    MLPClassifier,
    PreActResNet,
    SupportsForwardFeatures,
    forward_with_features,
)
from ganmc_lightning.networks.intermediate import dry_run_layers, record_outputs

SPEC = DataSpec((1, 16, 16), 10)


class Own(nn.Module):
    """Returns features and logits itself."""

    def __init__(self, network):
        super().__init__()
        self.inner = network

    def forward_features_and_logits(self, inputs):
        features = self.inner.features(inputs)
        return features, self.inner.classifier(features)

    def forward(self, inputs):
        return self.forward_features_and_logits(inputs)[1]


def lenet():
    torch.manual_seed(0)
    return LeNet4(1, 16, 10, widths=(2, 3, 5))


def hooks_of(network):
    return sum(len(module._forward_hooks) for module in network.modules())


@pytest.fixture
def images():
    return torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "network",
    [
        MLPClassifier(256, 10),
        LeNet(1, 16, widths=(2, 3, 5)),
        LeNet4(1, 16, widths=(2, 3, 5)),
        FiveLayerCNN(1, 16, widths=(2, 3, 4, 5), batch_norm=True),
        NIN(1, 16, hidden=8),
        CIFARResNet(8, 1),
        PreActResNet(8, 1, bottleneck=False),
    ],
    ids=lambda network: type(network).__name__,
)
def test_the_layer_before_the_logits(network, images):
    network.eval()
    logits, (features,) = forward_with_features(network, ["features"], images)
    assert torch.equal(logits, network(images))
    assert torch.equal(features, network.features(images))
    assert torch.equal(network.classifier(features), logits)
    assert features.dim() == 2


def test_hooks_and_own_features_are_equal_with_gradients(images):
    hooked, own = lenet(), lenet()
    for network, plain in ((hooked, hooked), (Own(own), own)):
        assert isinstance(network, SupportsForwardFeatures) == (plain is own)
        logits, (features, again) = forward_with_features(network, ["features", "logits"], images)
        assert again is logits
        (features.square().sum() + logits.sum()).backward()
    for one, other in zip(hooked.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


def test_layers_by_name_in_the_given_order(images):
    network = lenet()
    _, (second, first, logits) = forward_with_features(network, ["features.3", "features.0", "logits"], images)
    assert torch.equal(first, network.features[:1](images))
    assert torch.equal(second, network.features[:4](images))
    assert torch.equal(logits, network(images))


def test_maps_of_one_pixel_are_vectors(images):
    network = PreActResNet(8, 1, bottleneck=False).eval()
    pool = next(name for name, module in network.named_modules() if isinstance(module, nn.AdaptiveAvgPool2d))
    _, (features,) = forward_with_features(network, [pool], images)
    assert torch.equal(features, network.features(images))


def test_no_hook_is_left(images):
    network = lenet()
    mine = network.features.register_forward_hook(lambda *_: None)
    forward_with_features(network, ["features", "features.0"], images)
    assert hooks_of(network) == 1
    with pytest.raises(RuntimeError):
        forward_with_features(network, ["features"], torch.zeros(4, 7))
    assert hooks_of(network) == 1
    mine.remove()


@pytest.mark.parametrize("wrap", [lambda network: network, Own])
def test_frozen_networks(images, wrap):
    network = lenet()
    frozen = Frozen(Frozen(wrap(network), mean=[0.4], std=[0.2]))
    logits, (features,) = forward_with_features(frozen, ["features"], images)
    assert not logits.requires_grad
    assert not features.requires_grad
    assert torch.equal(features, network.features(frozen.network.normalize(images)))
    assert torch.equal(logits, frozen(images))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # by the compiler
class TestCompiled:
    @pytest.fixture(autouse=True)
    def _reset(self):
        torch.compiler.reset()
        yield
        torch.compiler.reset()

    def test_inside(self, images):
        network = lenet()
        ask = torch.compile(lambda x: forward_with_features(network, ["features", "features.3"], x), backend="eager")
        for inputs in (images, images + 1):
            logits, (features, maps) = ask(inputs)
            assert torch.equal(features, network.features(inputs))
            assert torch.equal(maps, network.features[:4](inputs))
            assert torch.equal(logits, network(inputs))
        assert hooks_of(network) == 0

    def test_compiled_in_place(self, images):
        network, reference = lenet(), lenet()
        network.compile(backend="eager")
        for inputs in (images, images + 1):
            logits, (features,) = forward_with_features(network, ["features"], inputs)
            assert torch.equal(features, reference.features(inputs))
            assert torch.equal(logits, reference(inputs))

    def test_never_silently_wrong(self, images):
        """A network that was compiled without hooks ignores them, which raises an error."""
        network = lenet()
        network.compile(backend="eager")
        network(images)
        with pytest.raises(RuntimeError, match="compiled and first called without hooks"):
            forward_with_features(network, ["features"], images)


class Odd(nn.Module):
    """Layers with outputs that are not features."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.pair = nn.LSTM(16, 10, batch_first=True)
        self.linear = nn.Linear(256, 10)
        self.relu = nn.ReLU(inplace=True)
        self.whole = nn.Flatten(0)
        self.unused = nn.Linear(1, 1)

    def forward(self, inputs):
        self.whole(inputs)
        self.pair(inputs.squeeze(1))
        return self.relu(self.linear(self.flatten(inputs)))


class TestRecordOutputs:
    def test_last_call_counts_and_unused_layers_are_absent(self):
        shared = nn.Linear(3, 3)
        network = nn.ModuleDict({"shared": shared, "unused": nn.Linear(1, 1)})
        inputs = torch.randn(2, 3)
        with record_outputs(network, ["shared", "unused"]) as outputs:
            first = shared(inputs)
            second = shared(first)
        assert outputs.keys() == {"shared"}
        assert outputs["shared"] is second

    def test_transform_runs_before_an_in_place_layer(self):
        network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
        inputs = torch.randn(8, 3)
        with torch.no_grad(), record_outputs(network, ["0"], lambda given, output: (given[0], output.clone())) as found:
            network(inputs)
        assert found["0"][0] is inputs
        assert torch.equal(found["0"][1], network[0](inputs))
        assert (found["0"][1] < 0).any()

    def test_hooks_are_removed_after_an_exception_and_an_unknown_layer(self, images):
        network = lenet()
        with pytest.raises(RuntimeError), record_outputs(network, ["features"]):
            network(torch.zeros(4, 7))
        with pytest.raises(AttributeError), record_outputs(network, ["features", "missing"]):
            pass
        assert hooks_of(network) == 0


class TestDryRun:
    def test_shapes(self):
        network = Frozen(LeNet4(1, 16, 10, widths=(2, 3, 5)))
        features = dry_run_layers("model.teacher", network, ["features.0", "features", "logits"], SPEC)
        assert [tuple(each.shape) for each in features] == [(2, 2, 12, 12), (2, 5), (2, 10)]
        assert hooks_of(network) == 0
        assert dry_run_layers("model.teacher", network, [], SPEC) == ()
        assert [tuple(each.shape) for each in dry_run_layers("x", Own(lenet()), ["features"], SPEC)] == [(2, 5)]

    @pytest.mark.parametrize("wrap", [lambda network: network, lambda network: Frozen(network, dropout=True)])
    def test_a_layer_that_is_overwritten_in_training_mode_only(self, wrap):
        inner = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5, inplace=True), nn.Linear(8, 3), nn.BatchNorm1d(3)
        )
        network, spec = wrap(inner), DataSpec((1, 8, 8), 3)
        random_state, before = torch.get_rng_state(), copy.deepcopy(inner.state_dict())
        training = [module.training for module in network.modules()]
        with pytest.raises(ConfigurationError, match=r"overwritten in place in training mode; set inplace=False"):
            dry_run_layers("model.student", network, ["1"], spec)
        (features,) = dry_run_layers("model.student", network, ["3"], spec)
        assert features.shape == (2, 3)
        assert torch.equal(torch.get_rng_state(), random_state)
        assert [module.training for module in network.modules()] == training
        assert all(torch.equal(value, before[name]) for name, value in inner.state_dict().items())

    def test_a_frozen_network_without_dropout_stays_in_evaluation_mode(self):
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5, inplace=True), nn.Linear(8, 3))
        (features,) = dry_run_layers("model.teacher", Frozen(network), ["1"], DataSpec((1, 8, 8), 3))
        assert features.shape == (2, 8)

    @pytest.mark.parametrize(
        ("network", "layer", "message"),
        [
            (lenet(), "feature", r"expected one of features, classifier, logits; did you mean 'features'\?"),
            (Frozen(lenet()), "avgpool", r"got the layer 'avgpool', expected one of features, classifier, logits$"),
            (lenet(), "features.12", r"expected one of features\.0, features\.1, .*, features\.8, logits"),
            (Own(lenet()), "inner.features", r"expected one of features, logits$"),
            (Odd(), "pair", r"layer 'pair' of model\.student \(Odd\): returned tuple for 2 samples"),
            (Odd(), "whole", r"returned \(512,\) for 2 samples"),
            (Odd(), "unused", r"layer 'unused' of model\.student \(Odd\): not used in forward"),
            (Odd(), "linear", r"overwritten in place by the next layer; choose that layer"),
            (LeNet4(1, 16, 7), "features", r"returned shape \(2, 7\) for 2 samples, expected \(2, 10\)"),
            (LeNet4(3, 16, 10), "features", r"does not accept samples of shape"),
        ],
    )
    def test_invalid_layers(self, network, layer, message):
        with pytest.raises(ConfigurationError, match=message) as caught:
            dry_run_layers("model.student", network, [layer], SPEC)
        assert "\n" not in str(caught.value)
        assert hooks_of(network) == 0


class TestIntermediateLayer:
    def test_output_and_gradients(self, images):
        network = lenet()
        images.requires_grad_()
        features = IntermediateLayer(network, "features")(images)
        assert torch.equal(features, network.features(images))
        (gradient,) = torch.autograd.grad(features.square().sum(), images)
        (reference,) = torch.autograd.grad(network.features(images).square().sum(), images)
        assert torch.equal(gradient, reference)
        assert hooks_of(network) == 0

    def test_missing_layer(self):
        with pytest.raises(
            ConfigurationError, match=r"IntermediateLayer\.network \(LeNet4\): got the layer 'feature', expected one of"
        ):
            IntermediateLayer(lenet(), "feature")
