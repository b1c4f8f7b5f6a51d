"""``--import MODULE`` on the command lines that read checkpoints."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from ganmc_lightning.cli import COMMANDS, TRAINING, main
from ganmc_lightning.cli.imports import import_words, take_imports
from ganmc_lightning.networks import TabularGenerator, allowed


class Own(TabularGenerator):
    """A network defined by the user."""


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint that names a network of the module ``my_project``."""
    monkeypatch.setattr(allowed, "_allowed", [])
    module = ModuleType("my_project")
    monkeypatch.setattr(Own, "__module__", "my_project")
    module.Own = Own
    monkeypatch.setitem(sys.modules, "my_project", module)
    recipe = {"class_path": "my_project.Own", "init_args": {"num_features": 3}}
    state = {f"generator.{name}": value for name, value in Own(3).state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"generator": recipe}}, tmp_path / "own.ckpt")
    return str(tmp_path / "own.ckpt")


def test_a_user_defined_network(checkpoint, tmp_path, capsys):
    words = ["sample", checkpoint, "--num-samples", "2", "--out", str(tmp_path / "rows.npz")]
    assert main(words) == 2
    assert "got the class_path 'my_project.Own', expected a network of" in capsys.readouterr().err
    assert main([*words, "--import", "my_project"]) == 0
    with np.load(tmp_path / "rows.npz") as rows:
        assert (2, 3) in [rows[name].shape for name in rows.files]


@pytest.mark.parametrize("command", ["sample", "fit"])
def test_a_module_that_does_not_exist(command, tmp_path, capsys):
    (tmp_path / "a.ckpt").touch()
    words = {"sample": [str(tmp_path / "a.ckpt"), "--out", "a.npz"], "fit": []}[command]
    assert main([command, *words, "--import", "no_such_module"]) == 2
    assert "ganmc: --import: module 'no_such_module' cannot be imported" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS, *TRAINING])
def test_every_command_documents_the_option(command, capsys):
    assert main([command, "--help"]) == 0
    assert "--import MODULE" in " ".join(capsys.readouterr().out.split())


def test_options_are_split_from_a_command_line():
    words = ["fit", "--import", "a", "--config=x.yaml", "--import=b.c", "--trainer.devices", "2", "--imports", "3"]
    modules, rest = take_imports(words)
    assert modules == ["a", "b.c"]
    assert rest == ["fit", "--config=x.yaml", "--trainer.devices", "2", "--imports", "3"]
    assert import_words(modules) == ["--import", "a", "--import", "b.c"]
