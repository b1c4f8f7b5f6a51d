"""Functions, references and own files as networks of a configuration: what users write in YAML."""

from __future__ import annotations

import sys

import pytest
import torch
import yaml

from ganmc_lightning.cli import main
from ganmc_lightning.cli.factories import expand_factories
from ganmc_lightning.networks import PretrainedClassifier, allowed, build_network, load_network

SOURCE = """
from torch import nn

def bare(width=4, num_classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes))

def annotated(num_classes: int = 3, **arguments) -> nn.Module:
    return bare(num_classes=num_classes, **arguments)

class Net(nn.Sequential):
    def __init__(self, width: int = 4):
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 3))
"""


@pytest.fixture(autouse=True)
def _fresh_modules(monkeypatch):
    """Own modules of one test are unknown in the next."""
    monkeypatch.setattr(allowed, "_allowed", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("my_nets", "nets_of_a_file"):
        sys.modules.pop(name, None)


@pytest.fixture
def fit(tmp_path, monkeypatch, data_root):
    """Train a network or a student for one step and return its checkpoint."""
    monkeypatch.chdir(tmp_path)

    def run(*words, status=0, **networks):
        module = "DistillationModule" if "student" in networks else "ClassifierModule"
        config = {
            "trainer": {
                "default_root_dir": "run",
                "max_steps": 1,
                "accelerator": "cpu",
                "precision": "32-true",
                "enable_progress_bar": False,
                "enable_model_summary": False,
            },
            "model": {"class_path": f"ganmc_lightning.modules.{module}", "init_args": networks},
            "data": {
                "dataset": {
                    "class_path": "ganmc_lightning.data.datasets.NpzFile",
                    "init_args": {"path": str(data_root / "tiny.npz")},
                },
                "batch_size": 27,
            },
        }
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
        assert main(["fit", "--config", "run.yaml", *words]) == status
        return str(tmp_path / "run" / "checkpoints" / "last.ckpt")

    return run


def trained_weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_timm_create_model(fit):
    pytest.importorskip("timm")
    arguments = {"model_name": "test_resnet", "num_classes": 3, "in_chans": 1}
    path = fit(network={"class_path": "timm.create_model", "init_args": arguments})
    network = load_network(path)  # needs the file only
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    weights = trained_weights(path)
    assert all(torch.equal(weights[f"network.{name}"], value) for name, value in network.state_dict().items())


def test_teacher_and_student_by_reference(fit, tmp_path):
    pytest.importorskip("timm")
    teacher = build_network("timm:test_resnet", num_classes=3, in_channels=1)
    torch.save({"model": teacher.state_dict()}, tmp_path / "w.pt")
    arguments = {"path": "timm:test_resnet:w.pt", "num_classes": 3, "arguments": {"in_chans": 1}}
    path = fit(
        teacher={"class_path": "ganmc_lightning.networks.load_network", "init_args": arguments},
        student={"class_path": "ganmc_lightning.networks.load_network", "init_args": arguments},
    )
    (tmp_path / "w.pt").unlink()
    assert isinstance(load_network(path), PretrainedClassifier)


@pytest.mark.parametrize("name", ["bare", "annotated", "Net"])
def test_module_of_the_current_folder(fit, tmp_path, name):
    (tmp_path / "my_nets.py").write_text(SOURCE)
    path = fit(network={"class_path": f"my_nets.{name}", "init_args": {"width": 5}})
    weights = trained_weights(path)
    assert weights["network.1.weight"].shape == (5, 64)


def test_file_of_another_folder(fit, tmp_path, capsys):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "nets_of_a_file.py").write_text(SOURCE)
    network = {"class_path": "nets_of_a_file.Net"}
    fit(network=network, status=2)
    assert "nets_of_a_file" in capsys.readouterr().err
    path = fit("--import", "code/nets_of_a_file.py", network=network)
    assert type(load_network(path)).__name__ == "Net"


def test_a_checkpoint_does_not_import_the_current_folder(fit, tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text(SOURCE)
    path = fit(network={"class_path": "my_nets.Net"})
    monkeypatch.delitem(sys.modules, "my_nets")
    (tmp_path / "my_nets.py").write_text("raise SystemExit('imported')")
    with pytest.raises(ValueError, match="allow it with --import MODULE"):
        load_network(path)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "none.py", "file not found, expected a Python file"),
        ("", "my-nets.py", "'my-nets' is no module name"),
        ("", "json.py", "a module 'json' exists elsewhere; rename the file"),
        ("1 / 0", "my_nets.py", "cannot be imported, ZeroDivisionError: division by zero"),
        ("import no_such_module", "my_nets.py", "cannot be imported, ModuleNotFoundError"),
    ],
)
def test_refused_files(tmp_path, capsys, content, name, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["fit", "--import", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ganmc: --import: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "value",
    [
        3,
        None,
        "timm.create_model",
        ["a"],
        {"class_path": 3},
        {"class_path": "no_such_module.make", "init_args": {"a": 1}},
        {"class_path": "torchvision.models.ResNet", "init_args": {"a": 1}},
        {"class_path": "os.path.join", "init_args": 3},
        {"class_path": "json.no_such_function"},
    ],
)
def test_other_values_are_unchanged(value):
    assert expand_factories(value) == value
