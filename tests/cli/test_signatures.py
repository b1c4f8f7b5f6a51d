"""Names and arguments from source files are those of the imported package."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType

import lightning
import pytest

import ganmc_lightning
from ganmc_lightning.cli.signatures import TRAINER, arguments_of, names_of

PACKAGES = ("callbacks", "data", "data.datasets", "losses", "metrics", "modules", "networks", "synthesizers", "tabular")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_classes_and_functions(package: str) -> None:
    path = f"ganmc_lightning.{package}"
    module = import_module(path)
    names = names_of(path)
    assert names is not None
    assert set(module.__all__) <= set(names)
    read = 0
    for name in module.__all__:
        arguments = arguments_of(f"{path}.{name}")
        if arguments is not None:
            read += 1
            assert arguments == list(inspect.signature(getattr(module, name)).parameters), name
    assert read > len(module.__all__) / 3


def test_the_top_package() -> None:
    assert set(ganmc_lightning.__all__) - {"__version__"} <= set(names_of("ganmc_lightning") or ())
    assert arguments_of("ganmc_lightning.ClassifierModule") == ["network", "optimizer", "lr_scheduler"]


def test_the_trainer() -> None:
    assert arguments_of(TRAINER) == list(inspect.signature(lightning.Trainer).parameters)


@pytest.mark.parametrize(
    "path", ["ganmc_lightning.networks.Nothing", "no_such_package.Class", "builtins.dict", "a", "without_spec.Class"]
)
def test_unknown_paths(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "without_spec", ModuleType("without_spec"))  # as __main__ of a script
    assert arguments_of(path) is None
