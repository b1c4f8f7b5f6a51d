"""Checkpoints of networks that torchvision's functions build."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet18, squeezenet1_1

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import load_network


def save(path, class_path, network, **arguments):
    recipe = {"class_path": class_path, "init_args": arguments}
    state = {f"student.{name}": value for name, value in network.state_dict().items()}
    torch.save({"hyper_parameters": {"student": recipe}, "state_dict": state}, path)
    return str(path)


@pytest.mark.parametrize("make", [resnet18, squeezenet1_1])
def test_rebuilt(tmp_path, make):
    network = make(num_classes=3).eval()
    path = save(tmp_path / "a.ckpt", f"torchvision.models.{make.__name__}", network, weights=None, num_classes=3)
    rebuilt = load_network(path, "student")
    assert type(rebuilt) is type(network)
    inputs = torch.randn(2, 3, 64, 64)
    assert torch.equal(rebuilt(inputs), network(inputs))


@pytest.mark.parametrize(
    "name",
    [
        "torchvision.models.list_models",  # no network
        "torch.hub.load",
        "torch.nn.utils.fuse_conv_bn_eval",
        f"{__name__}.foreign",
    ],
)
def test_other_functions_are_not_called(tmp_path, name):
    path = save(tmp_path / "a.ckpt", name, resnet18(num_classes=3))
    with pytest.raises(
        ConfigurationError, match=r"is not a network; it is not imported|expected a network of ganmc_lightning"
    ):
        load_network(path, "student")


def foreign() -> torch.nn.Module:
    raise AssertionError("called")
