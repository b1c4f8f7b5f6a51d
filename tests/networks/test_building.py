"""Untrained networks by reference, and their recipes in checkpoints."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import PretrainedClassifier, allowed, build_network, load_network
from ganmc_lightning.networks.resolving import resolve_recipe

BUILDER = "ganmc_lightning.networks.build_network"
SOURCE = """
from torch import nn

def annotated(width: int = 2, num_classes: int = 5) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(width, num_classes))

def bare(width=2):
    return nn.Linear(width, 3)

def number():
    return 3

def broken():
    raise KeyError("no such layer")

class Net(nn.Linear):
    def __init__(self, in_channels=1):
        super().__init__(in_channels, 2)

value = 3
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user in the current folder."""
    (tmp_path / "my_own_models.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(allowed, "_allowed", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_own_models", raising=False)
    return "my_own_models"


def error(*arguments, **named):
    with pytest.raises(ConfigurationError) as caught:
        build_network(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def checkpoint(path, recipe, network):
    state = {f"student.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"_class_path": "a.Module", "student": recipe}}, path)
    return str(path)


def rebuilt(tmp_path, recipe, network):
    """Load a student from its checkpoint only."""
    loaded = load_network(checkpoint(tmp_path / "student.ckpt", resolve_recipe(recipe), network))
    assert type(loaded) is type(network)
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in network.state_dict().items())
    return loaded


class TestOwnCode:
    def test_functions_and_classes(self, own_module):
        assert build_network(f"{own_module}:annotated", num_classes=7, arguments={"width": 4})[1].out_features == 7
        assert build_network(f"{own_module}:bare", num_classes=7, in_channels=4).in_features == 2
        assert build_network(f"{own_module}:Net", in_channels=4).in_features == 4

    def test_refused(self, own_module):
        assert "module 'no_such_module' cannot be imported" in error("no_such_module:make")
        assert error("tim:resnet18").endswith("; did you mean 'timm:'?")
        assert "has no attribute 'none'; expected a function or class" in error(f"{own_module}:none")
        assert "got a int, expected a function or class" in error(f"{own_module}:value")
        assert "returned a int, expected an nn.Module" in error(f"{own_module}:number")
        assert "cannot be built: 'no such layer'" in error(f"{own_module}:broken")
        assert "cannot be built: annotated() got an unexpected" in error(
            f"{own_module}:annotated", arguments={"depth": 1}
        )
        assert "got a weights file, expected the reference of an untrained network" in error(f"{own_module}:bare:a.pt")

    def test_recipes_need_permission(self, own_module, tmp_path, monkeypatch):
        recipe = {"class_path": BUILDER, "init_args": {"reference": f"{own_module}:annotated", "arguments": None}}
        network = build_network(f"{own_module}:annotated")
        rebuilt(tmp_path, recipe, network)
        monkeypatch.setattr(allowed, "_allowed", [])
        with pytest.raises(ConfigurationError, match="if you trust its module, allow it with --import MODULE"):
            load_network(str(tmp_path / "student.ckpt"))

    def test_recipes_need_a_return_type(self, own_module, tmp_path):
        recipe = {"class_path": BUILDER, "init_args": {"reference": f"{own_module}:bare"}}
        network = build_network(f"{own_module}:bare")
        with pytest.raises(ConfigurationError, match=r"annotate the function: def bare\(...\) -> nn.Module"):
            rebuilt(tmp_path, recipe, network)


class TestTorchvision:
    def test_network(self):
        network = build_network("torchvision:squeezenet1_1", num_classes=4)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 4)

    def test_refused(self):
        assert "torchvision has no network 'squeeznet1_1'; did you mean 'squeezenet1_1'?" in error(
            "torchvision:squeeznet1_1"
        )
        assert "have 3 input channels, got 1" in error("torchvision:squeezenet1_1", in_channels=1)
        assert "cannot be built: " in error("torchvision:squeezenet1_1", arguments={"depth": 1})

    def test_recipes_read_no_files_by_default(self, tmp_path):
        recipe = {"class_path": BUILDER, "init_args": {"reference": "torchvision.models.segmentation:fcn_resnet50"}}
        path = checkpoint(tmp_path / "a.ckpt", recipe, nn.Linear(1, 1))
        with pytest.raises(ConfigurationError, match=r"weights_backbone=.*, which reads another file"):
            load_network(path)

    def test_recipe_of_the_function_by_name(self, tmp_path):
        network = build_network("torchvision:squeezenet1_1", num_classes=4)
        arguments = {"init_args": {"name": "squeezenet1_1"}, "dict_kwargs": {"num_classes": 4}}
        rebuilt(tmp_path, {"class_path": "torchvision.models.get_model", **arguments}, network)


class TestTimm:
    @pytest.fixture(autouse=True)
    def _timm(self):
        pytest.importorskip("timm")

    def test_network(self):
        network = build_network("timm:test_resnet", num_classes=4, in_channels=1)
        assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 4)

    def test_refused(self):
        assert "timm has no network 'test_resnt'; did you mean 'test_resnet'?" in error("timm:test_resnt")
        assert "timm has no network 'test_resnet.no_such_tag'" in error("timm:test_resnet.no_such_tag")
        assert "cannot be built: " in error("timm:test_resnet", arguments={"no_such_argument": 1})

    @pytest.mark.parametrize("by_function", [True, False])
    def test_recipes(self, tmp_path, by_function):
        network = build_network("timm:test_resnet", num_classes=4)
        recipe = {"class_path": BUILDER, "init_args": {"reference": "timm:test_resnet", "num_classes": 4}}
        if by_function:
            arguments = {"model_name": "test_resnet", "pretrained": False, "pretrained_cfg": None}
            recipe = {"class_path": "timm.create_model", "init_args": arguments, "dict_kwargs": {"num_classes": 4}}
        rebuilt(tmp_path, recipe, network)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model_name": "hf-hub:some/one"}, "model_name='hf-hub:some/one', expected the name of a network"),
            ({"model_name": "test_resnet", "pretrained": True}, "the argument pretrained in a recipe, which reads"),
            ({"model_name": "test_resnet", "checkpoint_path": "a.pt"}, "the argument checkpoint_path in a recipe"),
            ({}, "model_name=None, expected the name of a network"),
        ],
    )
    def test_recipes_read_no_files(self, tmp_path, arguments, message):
        path = checkpoint(
            tmp_path / "a.ckpt", {"class_path": "timm.create_model", "init_args": arguments}, nn.Linear(1, 1)
        )
        with pytest.raises(ConfigurationError, match=message):
            load_network(path)


class TestHuggingFace:
    @pytest.fixture
    def folder(self, tmp_path):
        transformers = pytest.importorskip("transformers")
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}
        transformers.ResNetConfig(**sizes, id2label={0: "ant", 1: "bee"}).save_pretrained(tmp_path / "hub")
        return tmp_path / "hub"

    def test_network(self, folder):
        network = build_network(f"hf:{folder}", num_classes=4, in_channels=1, arguments={"depths": [1, 2]})
        assert isinstance(network, PretrainedClassifier)
        assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 4)
        assert build_network(f"hf:{folder}")(torch.zeros(2, 3, 32, 32)).shape == (2, 2)

    def test_recipe_contains_the_configuration(self, folder, tmp_path):
        network = build_network(f"hf:{folder}", num_classes=4)
        recipe = {"class_path": BUILDER, "init_args": {"reference": f"hf:{folder}", "num_classes": 4}}
        resolved = resolve_recipe(recipe)
        (folder / "config.json").unlink()
        rebuilt(tmp_path, resolved, network)
        path = checkpoint(tmp_path / "b.ckpt", recipe, network)
        with pytest.raises(ConfigurationError, match="a recipe without the argument 'config', which would read"):
            load_network(path)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                {"model_type": "timm_wrapper", "architecture": "hf-hub:some/one"},
                "'hf-hub:some/one' of timm in a configuration of transformers, which could be downloaded; expected the "
                "reference timm:NAME",
            ),
            ({"model_args": {"checkpoint_path": "other.pt"}}, "got the argument checkpoint_path in a recipe"),
            ({"layers": [{"pretrained_cfg": {"file": "other.pt"}}]}, "got the argument pretrained_cfg in a recipe"),
            ({"vision_config": {"model_type": "timm_wrapper"}}, "got the argument model_type in a recipe"),
            ({"backbone_config": {"auto_map": {"AutoModel": "a.Net"}}}, "got the argument auto_map in a recipe"),
            ({"backbone": "some/one"}, "got the argument backbone in a recipe"),
            ({"attn_implementation": "kernels-community/one"}, "got the argument attn_implementation in a recipe"),
        ],
    )
    @pytest.mark.parametrize("in_config", [True, False])
    def test_configurations_read_no_other_files(self, folder, tmp_path, monkeypatch, values, message, in_config):
        """Neither those of a file, nor those that would be stored with a trained student."""
        reference, config = f"hf:{folder}", json.loads((folder / "config.json").read_text())
        arguments = {"config": {**config, **values}} if in_config else {"config": config, **values}
        recipe = {"class_path": BUILDER, "init_args": {"reference": reference, "arguments": arguments}}
        path = checkpoint(tmp_path / "a.ckpt", recipe, nn.Linear(1, 1))
        monkeypatch.setattr("ganmc_lightning.networks.building.build_from_library", lambda *_: pytest.fail("built"))
        for call, argument in ((load_network, path), (resolve_recipe, recipe)):
            with pytest.raises(ConfigurationError) as caught:
                call(argument)
            assert message in str(caught.value)

    def test_unused_keys_of_a_configuration_are_allowed(self, folder, tmp_path):
        values = json.loads((folder / "config.json").read_text())
        unused = {"auto_map": {"AutoConfig": "own.Config"}, "_attn_implementation_autoset": True}
        recipe = {
            "class_path": BUILDER,
            "init_args": {"reference": f"hf:{folder}", "arguments": {"config": {**values, **unused}}},
        }
        rebuilt(tmp_path, recipe, build_network(f"hf:{folder}"))

    @pytest.mark.parametrize("nested", [False, True])
    def test_names_of_classes_are_no_arguments(self, folder, tmp_path, nested):
        names = ["weights", "pretrained"]
        classes = {"label2id": dict(zip(names, range(2), strict=True)), "id2label": dict(enumerate(names))}
        config = json.loads((folder / "config.json").read_text()) | classes
        if nested:
            config["backbone_config"] = classes
        recipe = {
            "class_path": BUILDER,
            "init_args": {"reference": f"hf:{folder}", "arguments": {"config": config}},
        }
        rebuilt(tmp_path, recipe, build_network(f"hf:{folder}"))

    def test_no_code_of_the_folder_runs(self, folder):
        """A model type without an image classifier in transformers, which names code of its own."""
        values = {"model_type": "bert", "auto_map": {"AutoModelForImageClassification": "modeling_own.Net"}}
        (folder / "config.json").write_text(json.dumps(values))
        (folder / "modeling_own.py").write_text("raise SystemExit('imported')")
        assert "cannot be built: " in error(f"hf:{folder}")
        with pytest.raises(ConfigurationError, match="its pretrained weights cannot be loaded"):
            load_network(f"hf:{folder}")

    def test_refused(self, tmp_path, folder):
        (folder / "config.json").write_text('{"model_type": "no_such_type"}')
        assert f"hf:{folder}: its config.json cannot be read (" in error(f"hf:{folder}")
        (tmp_path / "empty").mkdir()
        assert "pass a folder with config.json" in error(f"hf:{tmp_path / 'empty'}")


def test_a_missing_library(monkeypatch):
    monkeypatch.setattr(allowed, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    assert error("timm:resnet18") == (
        "timm:resnet18: requires timm, which is not installed: pip install 'ganmc-lightning[vision]'"
    )
