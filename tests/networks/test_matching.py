"""State dicts of other programs: prefixes, missing weights, heads of other sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.matching import load_weights


def make(seed: int, classes: int = 3, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, classes))


def loaded(weights):
    network = make(1)
    load_weights(network, weights, "a.pt")
    return all(torch.equal(network.state_dict()[name], value) for name, value in make(0).state_dict().items())


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "network.", "net.", "model.module.", "student."],
)
def test_prefixes(prefix):
    assert loaded({f"{prefix}{name}": value for name, value in make(0).state_dict().items()})


def test_weights_outside_the_prefix_are_ignored():
    weights = {f"model.{name}": value for name, value in make(0).state_dict().items()}
    assert loaded({"loss.weight": torch.ones(2), **weights})


def test_the_trained_network_is_preferred_to_its_moving_average():
    weights = {f"model.{name}": value for name, value in make(0).state_dict().items()}
    average = {f"ema_model.{name}": value + 1 for name, value in make(0).state_dict().items()}
    assert loaded({**average, **weights})


def test_old_files_have_no_batch_counters():
    assert loaded({name: value for name, value in make(0).state_dict().items() if "tracked" not in name} | {})


def test_half_precision():
    load_weights(network := make(1), {name: value.half() for name, value in make(0).state_dict().items()}, "a.pt")
    assert network[0].weight.dtype == torch.float32
    torch.testing.assert_close(network[0].weight, make(0)[0].weight, rtol=1e-3, atol=1e-3)


def error(weights):
    with pytest.raises(ConfigurationError) as caught:
        load_weights(make(1), weights, "a.pt")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_class():
    message = error(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Identity(), nn.Identity(), nn.Linear(1, 1)).state_dict())
    assert message.startswith(
        "a.pt: its weights do not match Sequential: 6 missing (1.weight, 1.bias, 1.running_mean, ...), "
        "2 unexpected (3.weight, 3.bias); expected the class"
    )


def test_a_layer_of_the_file_is_not_the_network():
    with pytest.raises(ConfigurationError, match=r"do not match Linear: 2 missing \(weight, bias\), 8 unexpected"):
        load_weights(nn.Linear(2, 4), make(0).state_dict(), "a.pt")


def test_another_number_of_classes():
    assert error(make(0, classes=7).state_dict()) == (
        "a.pt: layer '2' has weights of 7 classes, expected 3 as in Sequential; set num_classes: 7, or use data "
        "with these 7 classes"
    )


def test_another_width():
    message = error(make(0, width=5).state_dict())
    assert message == "a.pt: 7 weights have other shapes than in Sequential: 0.weight is (5, 2), expected (4, 2)"
