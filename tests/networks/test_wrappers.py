from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.networks.wrappers import plain_name, rename_weights, unwrap


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("student.0.weight", "student.0.weight"),
        ("module.student._orig_mod.0.weight", "student.0.weight"),
        ("_orig_mod.module.student.layers._orig_mod.weight", "student.layers.weight"),
        ("student.modules.weight", "student.modules.weight"),
    ],
)
def test_plain_name(name, plain):
    assert plain_name(name) == plain


@pytest.mark.parametrize("stored", ["0.weight", "_orig_mod.0.weight", "module.0.weight", "module._orig_mod.0.weight"])
@pytest.mark.parametrize("own", ["0.weight", "_orig_mod.0.weight", "_orig_mod.0.module.weight"])
def test_any_wrapper_fits_any_other(stored, own):
    assert rename_weights({stored: 1}, [own]) == {own: 1}


def test_a_layer_that_is_called_module_keeps_its_name():
    own = ["module.weight", "weight"]
    assert rename_weights({"module.weight": 1, "weight": 2}, own) == {"module.weight": 1, "weight": 2}


def test_names_without_a_counterpart_are_left_for_loading_to_report():
    assert rename_weights({"module.other": 1, "module.weight": 2}, ["weight"]) == {"module.other": 1, "weight": 2}
    both = {"module.weight": 1, "_orig_mod.weight": 2}
    assert rename_weights(both, ["weight"]) == both


def test_unwrapped():
    network = MLPClassifier(4, 3)
    assert unwrap(network) is network
    assert unwrap(torch.compile(network, backend="eager")) is network
    assert unwrap(nn.DataParallel(torch.compile(network, backend="eager"))) is network
