"""Files of torch.export that would run code are refused; those of usual networks are loaded."""

from __future__ import annotations

import json
import pickle
import zipfile
from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.export import Dim
from torch.export.pt2_archive import constants as pt2_archive_constants

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import load_network
from ganmc_lightning.networks.exported_check import _check_json, check_program

DYNAMIC = ({0: Dim.DYNAMIC},)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "x.pt2"
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    torch.save(network.state_dict(), path)
    torch.export.save(
        torch.export.export(network, (torch.zeros(2, 1, 2, 2),), dynamic_shapes=({0: Dim.DYNAMIC},)), path
    )
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def change_graph(change):
    def apply(members, canary):
        name = next(name for name in members if "/models/" in name)
        program = json.loads(members[name])
        change(program, canary)
        return {**members, name: json.dumps(program).encode()}

    return apply


@change_graph
def guard(program, canary):
    program["guards_code"] = [f"open({canary!r}, 'w')"]


@change_graph
def expression(program, canary):
    for value in program["graph_module"]["graph"]["tensor_values"].values():
        value["sizes"] = [{"as_expr": {"expr_str": f"open({canary!r}, 'w')", "hint": {"as_int": 2}}}]


@change_graph
def function(program, canary):
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.serialization.os.system"


@change_graph
def argument_name(program, canary):
    for call in program["graph_module"]["module_call_graph"]:
        if call["signature"] is not None:
            call["signature"]["forward_arg_names"] = [f"x=open({canary!r}, 'w')"]


UNPICKLES_OBJECTS = pytest.mark.skipif(
    not hasattr(pt2_archive_constants, "OPAQUE_OBJ_FILENAME_PREFIX"), reason="this PyTorch has no pickled constants"
)


def custom_object(members, canary):
    name = next(name for name in members if name.endswith("constants_config.json"))
    meta = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    config = json.dumps({"config": {"c": meta}}).encode()
    return {**members, name: config, f"{name.rpartition('/')[0]}/opaque_obj_0": pickle.dumps(Canary(canary))}


def library(members, canary):
    root = next(iter(members)).partition("/")[0]
    return {**members, f"{root}/data/aotinductor/model/model.so": b""}


@pytest.mark.parametrize("change", [guard, expression, function, argument_name, custom_object, library])
def test_code(members, change, tmp_path):
    canary = tmp_path / "canary"
    path = write(tmp_path / "x.pt2", change(members, str(canary)))
    with pytest.raises(ConfigurationError, match=r"which may run code, expected a network of usual operators"):
        load_network(path)
    assert not canary.exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", [guard, pytest.param(custom_object, marks=UNPICKLES_OBJECTS)])
def test_trusted_files_run_code(members, change, tmp_path):
    """The files of the test above are such that PyTorch runs their code."""
    canary = tmp_path / "canary"
    path = write(tmp_path / "x.pt2", change(members, str(canary)))
    with suppress(Exception):  # after the code
        load_network(path, trust=True)(torch.zeros(2, 1, 2, 2))
    assert canary.exists()


@pytest.mark.parametrize(
    ("key", "text", "harmless"),
    [
        ("expr_str", "Symbol('s77', positive=True, integer=True)", True),
        ("expr_str", "Mul(Integer(2), FloorDiv(Symbol('s0'), Integer(2)))", True),
        ("expr_str", "Pow(Symbol('s0'), Integer(2))", True),
        ("expr_str", "Max(1, 2*s0 - 1)", True),
        ("expr_str", "Pow(Integer(9), Pow(Integer(9), Integer(9)))", False),
        ("expr_str", "9**9**9**9", False),
        ("expr_str", "exit()", False),
        ("expr_str", "().__class__", False),
        ("expr_str", "(" * 5000, False),
        ("guards_code", "L['x'].size()[0] > 3", True),
        ("guards_code", "(L['x'].size()[0] % 2) == 0", True),
        ("guards_code", "L['a'].size()[0] == L['b'].size()[0]", True),
        ("guards_code", "L['x'].__class__ == 1", False),
        ("guards_code", "breakpoint()", False),
        ("target", "torch.ops.aten.conv2d.default", True),
        ("target", "torch.ops.aten.from_file.default", False),
        ("target", "torch.ops.load_library", False),
        ("target", "_operator.floordiv", True),
        ("target", "_operator.methodcaller", False),
        ("in_spec", '[1, {"type": "builtins.tuple", "context": "null", "children_spec": []}]', True),
        ("in_spec", '[1, {"type": "collections.defaultdict", "context": "null", "children_spec": []}]', False),
        ("name", "x; import os", False),
    ],
)
def test_texts(key, text, harmless):
    content = json.dumps({key: text}).encode()
    if harmless:
        _check_json(content, "x.pt2")
    else:
        with pytest.raises(ConfigurationError, match="may run code"):
            _check_json(content, "x.pt2")


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.AdaptiveAvgPool2d(1))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, images):
        rows = self.layers(images).flatten(2).transpose(1, 2)
        return self.attention(rows, rows, rows)[0].reshape(images.shape[0], -1)


def test_usual_network(tmp_path):
    program = torch.export.export(
        Convolutional().eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: Dim.DYNAMIC},)
    )
    torch.export.save(program, tmp_path / "x.pt2")
    check_program(str(tmp_path / "x.pt2"))


def write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)
