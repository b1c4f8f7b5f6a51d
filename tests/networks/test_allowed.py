"""Names that a file may refer to. Foreign packages are written to a folder on Python's search path."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import MLPClassifier, allow_import, allowed, load_network
from ganmc_lightning.networks.allowed import check_arguments, find_network, loaded, makes_network

# Leaves a file behind when it is imported and when its network is built.
FOREIGN = """
from pathlib import Path
from torch import nn

Path({mark!r}).touch()

class Net(nn.Linear):
    def __init__(self, weights_path):
        super().__init__(2, 3)
        Path({mark!r} + "-built").touch()

class Config:
    pass

def make(width: int) -> "nn.Module":
    return Net("") if width else nn.Linear(2, 3)

def unlink(path):
    return Net("")
"""


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch):
    monkeypatch.setattr(allowed, "_allowed", [])


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """Folder in which the foreign package ``planted`` with its module ``planted.nets`` writes files."""
    folder, path = tmp_path / "path" / "planted", tmp_path / "mark"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import sys\n")
    (folder / "nets.py").write_text(FOREIGN.format(mark=str(path)))
    monkeypatch.syspath_prepend(folder.parent)
    yield path
    for name in [name for name in sys.modules if name.startswith("planted")]:
        del sys.modules[name]


def save(path, recipe):
    torch.save({"state_dict": {"network.weight": torch.zeros(3, 2)}, "hyper_parameters": {"network": recipe}}, path)
    return str(path)


RECIPE = {"class_path": "planted.nets.Net", "init_args": {"weights_path": "weights.pth"}}


@pytest.mark.parametrize("imported_before", [False, True])
def test_a_foreign_network_is_neither_imported_nor_built(tmp_path, mark, imported_before):
    if imported_before:  # as torch-fidelity is by the extractor of scores
        __import__("planted.nets")
        mark.unlink()
    nested = {"class_path": "ganmc_lightning.networks.Frozen", "init_args": {"network": RECIPE}}
    for recipe in (RECIPE, nested, {"class_path": "torch.nn.ModuleList", "init_args": {"modules": [RECIPE]}}):
        with pytest.raises(ConfigurationError, match=r"got the class_path 'planted\.nets\.Net', expected a network of"):
            load_network(save(tmp_path / "a.ckpt", recipe), "network")
    assert not list(tmp_path.glob("mark*"))
    assert imported_before or "planted" not in sys.modules


def test_nor_is_one_among_the_arguments_of_a_procedure(tmp_path, mark):
    path = tmp_path / "a.ckpt"
    hyper_parameters = {"_class_path": "ganmc_lightning.networks.Frozen", "network": RECIPE, "optimizer": RECIPE}
    torch.save({"state_dict": {"student.weight": torch.zeros(3, 2)}, "hyper_parameters": hyper_parameters}, path)
    with pytest.raises(ConfigurationError, match="expected a network of ganmc_lightning"):
        load_network(str(path), "student")
    assert not list(tmp_path.glob("mark*"))


@pytest.mark.parametrize("module", ["planted", "planted.nets"])
def test_what_the_user_allows_is_built(mark, module):
    allow_import(module)
    net = find_network("planted.nets.Net", "a.ckpt")
    assert net("weights.pth").out_features == 3
    assert find_network("planted.nets.make", "a.ckpt")(0).in_features == 2
    for name in ("Config", "unlink", "Path", "nn"):
        with pytest.raises(ConfigurationError, match=f"planted.nets.{name} is not a network"):
            find_network(f"planted.nets.{name}", "a.ckpt")


@pytest.mark.parametrize(
    "name", ["planted.sys.Net", "planted.nets.nn.Linear", "planted.none.Net", "planted.nets.None_"]
)
def test_allowing_a_package_opens_no_other(mark, name):
    allow_import("planted")
    with pytest.raises(ConfigurationError, match=f"{name} does not exist in the installed planted"):
        find_network(name, "a.ckpt")


def test_a_longer_name_is_another_module(mark):
    allow_import("planted")
    with pytest.raises(ConfigurationError, match="expected a network of ganmc_lightning"):
        find_network("planted_too.nets.Net", "a.ckpt")


@pytest.mark.parametrize("module", ["no_such_module", "no.such", "", ".relative"])
def test_allowing_what_is_not_there(module):
    with pytest.raises(ConfigurationError, match=f"module '{module}' cannot be imported"):
        allow_import(module)
    assert allowed._allowed == []


@pytest.mark.parametrize(
    "name",
    [
        "ganmc_lightning.networks.MLPClassifier",
        "ganmc_lightning.networks.mlp.MLPClassifier",
        "ganmc_lightning.Frozen",
        "ganmc_lightning.losses.HintLoss",
        "torch.nn.Linear",
        "torch.nn.modules.ReLU",
        "torchvision.models.resnet18",
        "torchvision.models.MobileNetV2",
        "torchvision.models.segmentation.fcn_resnet50",
    ],
)
def test_the_list(name):
    assert find_network(name, "a.ckpt").__name__ == name.rpartition(".")[2]


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ({}, None),
        ({"weights": None, "pretrained": False, "num_classes": 3}, None),
        ({"weights": "DEFAULT"}, "weights=DEFAULT"),
        ({"weights": "IMAGENET1K_V1"}, "weights=IMAGENET1K_V1"),
        ({"pretrained": True}, "pretrained=True"),
        ({"checkpoint_path": "a.pth"}, "checkpoint_path=a.pth"),
    ],
)
def test_model_functions_read_no_weights(tmp_path, arguments, refused):
    recipe = {"class_path": "torchvision.models.squeezenet1_1", "init_args": arguments}
    if refused is None:
        check_arguments(recipe["class_path"], find_network(recipe["class_path"], "a.ckpt"), arguments, "a.ckpt")
        return
    with pytest.raises(
        ConfigurationError, match=f"got torchvision.models.squeezenet1_1 with {refused}, which reads another"
    ):
        load_network(save(tmp_path / "a.ckpt", recipe), "network")


def test_weights_that_are_read_by_default_raise_too():
    name = "torchvision.models.segmentation.fcn_resnet50"
    with pytest.raises(ConfigurationError, match="with weights_backbone=ResNet50_Weights"):
        check_arguments(name, find_network(name, "a.ckpt"), {}, "a.ckpt")
    check_arguments(name, find_network(name, "a.ckpt"), {"weights_backbone": None}, "a.ckpt")
    allow_import("torchvision")
    check_arguments(name, find_network(name, "a.ckpt"), {}, "a.ckpt")


def write_timm(folder):
    """A fake timm: model functions with return annotations, and a function that accepts their names."""
    package = folder / "timm" / "models"
    package.mkdir(parents=True)
    (folder / "timm" / "__init__.py").write_text("")
    (package / "__init__.py").write_text(
        "from timm.models.resnet import resnet10t\nfrom timm.models.f import create_model\n"
    )
    (package / "resnet.py").write_text(
        "from torch import nn\n\nclass ResNet(nn.Linear):\n    pass\n\n"
        "def resnet10t(pretrained: bool = False, **kwargs) -> ResNet:\n    return ResNet(2, 3)\n"
    )
    (package / "f.py").write_text(
        "def create_model(model_name, pretrained=False, checkpoint_path='', **kwargs):\n    1 / 0\n"
    )


@pytest.fixture
def no_timm(monkeypatch):
    """Remove timm from the imported modules before and after."""
    for name in [name for name in sys.modules if name == "timm" or name.startswith("timm.")]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [name for name in sys.modules if name == "timm" or name.startswith("timm.")]:
        del sys.modules[name]


@pytest.mark.usefixtures("no_timm")
def test_model_functions_of_timm(tmp_path, monkeypatch):
    write_timm(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "a.ckpt"
    recipe = {"class_path": "timm.models.resnet10t", "init_args": {"num_classes": 3}}
    state = nn.Linear(2, 3).state_dict(prefix="network.")
    torch.save({"state_dict": state, "hyper_parameters": {"network": recipe}}, path)
    assert load_network(str(path), "network").out_features == 3
    with pytest.raises(ConfigurationError, match=r"timm\.models\.create_model is not a network"):
        find_network("timm.models.create_model", "a.ckpt")
    with pytest.raises(ConfigurationError, match=r"'timm\.create_model', expected a network of"):
        find_network("timm.create_model", "a.ckpt")
    recipe["init_args"]["pretrained"] = True
    with pytest.raises(ConfigurationError, match="pretrained=True, which reads another file"):
        load_network(save(path, recipe), "network")


@pytest.mark.usefixtures("no_timm")
def test_a_timm_in_the_current_folder_is_not_timm(tmp_path, monkeypatch):
    """The module was imported before the checkpoint is read."""
    write_timm(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigurationError, match="requires timm, which is not installed: pip install 'ganmc-lightning\\[vision\\]'"
    ):
        find_network("timm.models.resnet10t", "a.ckpt")
    assert "timm" not in sys.modules


def test_loaded_imports_nothing(mark):
    assert loaded("planted.nets.Net") is None
    assert loaded("torch.optim.Adam") is torch.optim.Adam
    assert loaded("torch.no_such") is loaded(None) is None
    assert not mark.exists()


def test_makes_network():
    def vague() -> nn.Module: ...

    def exact() -> MLPClassifier: ...

    def unknown() -> NoSuchName: ...  # noqa: F821

    assert makes_network(MLPClassifier)
    assert makes_network(exact)
    assert makes_network(vague)
    assert not makes_network(vague, any_module=False)
    assert not any(map(makes_network, (unknown, torch.optim.Adam, torch.load, nn, MLPClassifier(2, 3), 3, None)))
