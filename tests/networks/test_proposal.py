from __future__ import annotations

import importlib
import re
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import NIN, FiveLayerCNN, MLPClassifier, ResNet18, WideResNet, propose_student


def parameters(network):
    return sum(each.numel() for each in network.parameters())


def flops(network, shape):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops()


def build(proposal, channels, classes):
    """The proposed network with weights on the CPU."""
    library, _, name = proposal.reference.partition(":")
    if library == "timm":
        return importlib.import_module("timm").create_model(name, num_classes=classes, in_chans=channels)
    network_class = getattr(importlib.import_module(library), name)
    return network_class(in_channels=channels, num_classes=classes, **proposal.arguments)


@pytest.mark.parametrize(
    ("teacher", "shape", "smaller"),
    [
        (ResNet18(num_classes=7), (3, 32, 32), 10),
        (NIN(in_channels=1, image_size=28, num_classes=7), (1, 28, 28), 2.5),
        (WideResNet(10, 2, num_classes=7), (3, 24, 40), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_counts_are_those_of_the_network(teacher, shape, smaller):
    proposal = propose_student(teacher, shape, 7, smaller)
    student = build(proposal, shape[0], 7)
    assert student.eval()(torch.zeros(2, *shape)).shape == (2, 7)
    assert (proposal.parameters, proposal.flops) == (parameters(student), flops(student, shape))
    assert proposal.parameters * smaller <= parameters(teacher)
    assert proposal.flops <= flops(teacher, shape)


def test_largest_network_that_fits():
    """A factor just above that of a proposal results in a smaller network, the exact factor in the proposal."""
    teacher = NIN()
    proposals = [propose_student(teacher, (3, 32, 32), 10, smaller) for smaller in (4, 40)]
    for proposal in proposals:
        exact = parameters(teacher) / proposal.parameters
        assert propose_student(teacher, (3, 32, 32), 10, exact - 1e-6) == proposal
        assert propose_student(teacher, (3, 32, 32), 10, exact + 1e-3).parameters < proposal.parameters
    assert proposals[1].parameters < proposals[0].parameters


def test_plain_network_where_residual_networks_have_too_many_flops():
    teacher = FiveLayerCNN(in_channels=1, image_size=8, num_classes=3)
    proposal = propose_student(teacher, (1, 8, 8), 3, 10)
    assert proposal.reference == "ganmc_lightning.networks:FiveLayerCNN"
    student = build(proposal, 1, 3)
    assert proposal.parameters == parameters(student) <= parameters(teacher) / 10
    assert proposal.flops == flops(student, (1, 8, 8)) <= flops(teacher, (1, 8, 8))
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in student.modules())


def test_teacher_and_random_state_are_unchanged():
    teacher = WideResNet(10, 1).train()
    teacher.register_buffer("calls", torch.zeros(1))
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in teacher.state_dict().items()}
    propose_student(teacher, (3, 8, 8), 10, 10)
    assert torch.equal(torch.get_rng_state(), before)
    assert teacher.training
    assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items())


def test_large_images():
    pytest.importorskip("timm")
    teacher = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 512, 3), nn.AdaptiveAvgPool2d(32), nn.Flatten())
    teacher.append(nn.Linear(512 * 32 * 32, 6))  # 3 million parameters
    proposal = propose_student(teacher, (1, 96, 96), 6, 2)
    assert proposal.reference.startswith("timm:")
    student = build(proposal, 1, 6)
    assert proposal.parameters == parameters(student) <= parameters(teacher) / 2
    assert student.eval()(torch.zeros(2, 1, 96, 96)).shape == (2, 6)


def test_missing_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(65 * 65, 3))
    with pytest.raises(ConfigurationError, match=re.escape('requires timm: pip install "ganmc-lightning[vision]"')):
        propose_student(teacher, (1, 65, 65), 3, 10)


def test_nothing_fits():
    message = (
        r"smaller: got 500, expected a smaller factor: no proposed network has at most 10 parameters and [\d,]+ FLOPs; "
        r"the smallest, ganmc_lightning.networks:FiveLayerCNN, has [\d,]+ parameters"
    )
    with pytest.raises(ConfigurationError, match=message):
        propose_student(MLPClassifier(64, 10), (1, 8, 8), 10, 500)


@pytest.mark.parametrize(
    ("teacher", "shape", "smaller", "message"),
    [
        (MLPClassifier(10, 2), (10,), 10, "got samples of shape (10,), expected (C, H, W): name a student"),
        (MLPClassifier(64, 2), (1, 8, 8), 1, "smaller: got 1, expected a factor > 1"),
        (nn.Flatten(), (1, 8, 8), 10, "teacher (Flatten): got no parameters, expected 1 or more"),
    ],
    ids=["rows", "factor", "no parameters"],
)
def test_refused(teacher, shape, smaller, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        propose_student(teacher, shape, 2, smaller)
