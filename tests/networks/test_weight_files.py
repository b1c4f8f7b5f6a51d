"""Files of weights: formats by content, nested state dicts, pickled objects, damage."""

from __future__ import annotations

import argparse
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.weight_files import file_format, find_state_dict, read_weights


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return nn.Linear(3, 2).state_dict()


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dict(weights, tmp_path, zipped):
    path = str(tmp_path / "a.safetensors")  # the suffix is of another format
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    assert file_format(path) == "torch"
    assert equal(find_state_dict(read_weights(path), path), weights)


def test_safetensors(weights, tmp_path):
    path = str(tmp_path / "a.pt")  # the suffix is of another format
    save_file(weights, path)
    assert file_format(path) == "safetensors"
    assert equal(find_state_dict(read_weights(path), path), weights)
    content = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(content[: len(content) - 3])
    with pytest.raises(ConfigurationError, match=r"a.pt: cannot be read as safetensors: "):
        read_weights(path)


@pytest.mark.parametrize(
    "key",
    ["state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "state_dict_ema", "ema"],
)
def test_nested_under_usual_keys(weights, key):
    content = {"epoch": 3, "optimizer": {"state": {}}, key: weights}
    assert equal(find_state_dict(content, "a.pt"), weights)


def test_the_trained_weights_come_before_their_moving_average(weights):
    ema = {name: value + 1 for name, value in weights.items()}
    assert equal(find_state_dict({"ema": ema, "model": weights}, "a.pt"), weights)


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [1], {"model": {"weight": 1}}, {0: torch.ones(1)}, "text"])
def test_no_state_dict(content):
    with pytest.raises(ConfigurationError, match=r"a.pt: got a .*, expected a state_dict, or a mapping that contains"):
        find_state_dict(content, "a.pt")


def test_pickled_module_needs_trust(tmp_path):
    path = str(tmp_path / "whole.pt")
    torch.save(nn.Linear(3, 2), path)
    with pytest.raises(ConfigurationError, match=r"pickled object \(torch.nn.modules.linear.Linear\), which runs code"):
        read_weights(path)
    assert isinstance(read_weights(path, trust=True), nn.Linear)


def test_arguments_of_a_program_need_trust(weights, tmp_path):
    path = str(tmp_path / "a.pt")
    torch.save({"model": weights, "args": argparse.Namespace(lr=0.1)}, path)
    with pytest.raises(ConfigurationError, match=r"\(argparse.Namespace\), .* set trust: true"):
        read_weights(path)
    assert equal(find_state_dict(read_weights(path, trust=True), path), weights)


def test_torchscript(tmp_path):
    path = str(tmp_path / "script.pt")
    with zipfile.ZipFile(path, "w") as archive:  # torch.jit is deprecated
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", b"")
    with pytest.raises(ConfigurationError, match="contains a TorchScript network, expected a state_dict"):
        read_weights(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken", b"\x08\0\0\0\0\0\0\0{", pickle.dumps(3)[:-1]])
def test_damaged(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read as"):
        read_weights(str(path))


def test_missing(tmp_path):
    with pytest.raises(ConfigurationError, match="checkpoint not found"):
        read_weights(str(tmp_path / "no.pt"))
