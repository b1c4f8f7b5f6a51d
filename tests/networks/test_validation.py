from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Frozen, MLPClassifier
from ganmc_lightning.networks.intermediate import dry_run_layers
from ganmc_lightning.networks.validation import (
    are_probabilities,
    check_classifier,
    check_discriminator,
    check_trainable_classifier,
    dry_run,
)

SPEC = DataSpec((4,), 3)


class ChangedOutput(nn.Module):
    """Classifier with changed outputs, optionally only in training mode."""

    def __init__(self, change, training_only=False):
        super().__init__()
        self.network = MLPClassifier(4, 3, (5,))
        self.change = change
        self.training_only = training_only

    def forward(self, inputs):
        logits = self.network(inputs)
        return logits if self.training_only and not self.training else self.change(logits)


ODD = {
    "tuple": (lambda z: (z, z), "a tuple of 2", "network(inputs)[0]"),
    "list": (lambda z: [z], "a list of 1", "network(inputs)[0]"),
    "dict": (lambda z: {"loss": 0, "logits": z}, "a dict with loss, logits", 'network(inputs)["logits"]'),
    "other keys": (lambda z: {"out": z}, "a dict with out", 'network(inputs)["out"]'),
    "object": (lambda z: SimpleNamespace(logits=z), "a SimpleNamespace", "network(inputs).logits"),
    "nothing": (lambda z: None, "a NoneType", "only the logits"),
}


def error_of(call, *args):
    with pytest.raises(ConfigurationError) as caught:
        call("model.student", *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ODD)
def test_other_answers_than_a_tensor_are_named_with_the_fix(kind):
    change, got, fix = ODD[kind]
    network = ChangedOutput(change)
    expected = f"model.student (ChangedOutput): returned {got}, expected one tensor of 3 logits; "
    for message in (
        error_of(check_classifier, network, SPEC),
        error_of(check_trainable_classifier, network, SPEC),
        error_of(dry_run_layers, network, [], SPEC),
        error_of(dry_run_layers, Frozen(network), [], SPEC),
    ):
        assert message == f"{expected}wrap it in a module whose forward returns {fix}"


def test_auxiliary_outputs_only_in_training_mode():
    network = ChangedOutput(lambda z: (z, z), training_only=True)
    check_classifier("model.student", network, SPEC)
    message = error_of(check_trainable_classifier, network, SPEC)
    assert "returned a tuple of 2 in training mode" in message
    assert "aux_logits=False" in message
    check_trainable_classifier("model.teacher", Frozen(network), SPEC)  # never in training mode


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_probabilities(dtype):
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 10, generator=random)
    assert are_probabilities(logits.softmax(dim=1).to(dtype))
    assert are_probabilities((100 * logits).softmax(dim=1).to(dtype))
    for answer in (logits, logits.log_softmax(dim=1), torch.zeros(2, 10), torch.ones(2, 1)):
        assert not are_probabilities(answer.to(dtype))


def test_softmax_at_the_end():
    for when in (False, True):
        message = error_of(check_trainable_classifier, ChangedOutput(lambda z: z.softmax(dim=1), when), SPEC)
        assert "returned probabilities (each row sums to 1), expected logits" in message
    assert "remove its final softmax" in error_of(
        dry_run_layers, ChangedOutput(lambda z: z.softmax(dim=1)), ["logits"], SPEC
    )


def test_networks_are_left_as_they_were():
    torch.manual_seed(0)
    network = nn.Sequential(spectral_norm(nn.Linear(4, 6)), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
    network[1].eval()
    before, modes = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    random = torch.get_rng_state()
    check_trainable_classifier("model.student", network, SPEC)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert modes == [module.training for module in network.modules()]
    assert torch.equal(random, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_compiled_networks_are_tried_without_compiling():
    calls = []

    def backend(graph, examples):
        calls.append(graph)
        return graph.forward

    torch.compiler.reset()
    network = torch.compile(MLPClassifier(4, 3, (5,)), backend=backend)
    check_trainable_classifier("model.student", network, SPEC)
    assert calls == []
    network(torch.zeros(2, 4))
    assert len(calls) == 1
    torch.compiler.reset()


def test_samples_differ():
    samples = dry_run("x", nn.Identity(), SPEC)
    assert samples.shape == (2, 4)
    assert not torch.equal(samples[0], samples[1])
    assert torch.equal(samples, dry_run("x", nn.Identity(), SPEC))
    assert samples.abs().max() <= 1


def test_a_network_that_wants_more_than_samples():
    assert "does not accept samples of shape (4,)" in error_of(check_discriminator, nn.Bilinear(4, 4, 1), SPEC)
