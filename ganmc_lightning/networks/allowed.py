"""The networks that a file from others may name, and how a name is looked up without running code for the file's sake.

A checkpoint names each network by a ``class_path``. Importing the module that a file happens to name would run that
module, and calling whatever it names could read further files, so both are limited to a list:

* the networks and losses of this package, and the layers of ``torch.nn``;
* classes and model functions of ``torchvision.models`` and ``timm.models``, without ``weights`` and ``pretrained``;
* what the user allowed: ``--import MODULE`` on the command line, :func:`allow_import` in Python.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError

# By the package that a name starts with, longest first: where its networks are defined.
HOMES = {
    "ganmc_lightning.networks": "ganmc_lightning.networks",
    "ganmc_lightning.losses": "ganmc_lightning.losses",  # imported by name: no network depends on a loss
    "ganmc_lightning": "ganmc_lightning.networks",
    "torch.nn": "torch.nn.modules",
    "torchvision.models": "torchvision.models",
    "timm.models": "timm.models",
}
MODEL_LIBRARIES = ("torchvision.models", "timm.models")
READING_ARGUMENTS = frozenset(
    {
        "weights",
        "weights_backbone",
        "pretrained",
        "pretrained_backbone",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
    }
)
"""Arguments by which the model functions of torchvision and timm read files or reach the network."""

_allowed: list[str] = []


def allow_import(module: str) -> None:
    """Import a module of yours and let checkpoints name the networks that it, or a submodule of it, defines.

    The command line does this for each ``--import MODULE``. What such a module defines is called with whatever
    arguments a checkpoint holds, so allow only modules that you trust.

    Args:
        module: its full name, such as ``"my_project.networks"``; ``"__main__"`` for the networks of a script.

    Raises:
        ConfigurationError: there is no such module, or it imports one that is missing.

    Example:
        >>> allow_import("torch.nn")
    """
    try:
        import_module(module)  # the user's own choice, so that the current folder is searched too
    except (ImportError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"module '{module}' cannot be imported ({error}): install it, or set PYTHONPATH to its folder"
        ) from error
    if module not in _allowed:
        _allowed.append(module)


def allow_named(class_path: str) -> None:
    """Allow the module of a network that the user names, and no file; those on the list need no leave.

    Raises:
        ConfigurationError: there is no such module.
    """
    module = class_path.rpartition(".")[0]
    if not any(f"{module}.".startswith(f"{home}.") for home in HOMES):
        allow_import(module)


def find_network(class_path: object, origin: str) -> Any:
    """Find the class or function of a network that a file names.

    Args:
        class_path: the name, as the file holds it.
        origin: the file, for error messages.

    Returns:
        A subclass of :class:`torch.nn.Module`, or a function that builds one.

    Raises:
        ConfigurationError: the name is not on the list, does not exist, or is not a network.
    """
    is_name = isinstance(class_path, str) and all(step.isidentifier() for step in class_path.split("."))
    name = str(class_path) if is_name else ""
    by_user = next((home for home in _allowed if name.startswith(f"{home}.")), None)
    home = by_user or next((home for home in HOMES if name.startswith(f"{home}.")), None)
    if home is None:
        raise ConfigurationError(
            f"{origin} names {str(class_path)[:200]!r}, which a file may not name: expected a network of "
            "ganmc_lightning, torch.nn, torchvision.models or timm.models; if you trust its module, allow it by "
            "--import MODULE (in Python ganmc_lightning.networks.allow_import)"
        )
    named = _look_up(_import(home, origin), name.removeprefix(f"{home}."), submodules=by_user is not None)
    if named is None:
        raise ConfigurationError(
            f"{origin} names {name}, which {home} does not define: install the version that has it"
        )
    inside = f"{getattr(named, '__module__', '')}.".startswith(f"{by_user or HOMES[home]}.")
    if not inside or not makes_network(named, vaguely=by_user is not None):
        raise ConfigurationError(f"{origin} names {name}, which is no network: it is not opened")
    return named


def check_arguments(class_path: str, named: Any, arguments: Mapping[str, Any], origin: str) -> None:
    """Refuse arguments by which a model function of a library would read files or reach the network.

    Raises:
        ConfigurationError: there is such an argument, given or by default, and the user did not allow its module.
    """
    if not class_path.startswith(MODEL_LIBRARIES) or any(class_path.startswith(f"{home}.") for home in _allowed):
        return
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(named).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    for name, value in {**defaults, **arguments}.items():
        if name in READING_ARGUMENTS and value is not None and value is not False:
            raise ConfigurationError(
                f"{origin} names {class_path} with {name}={str(value)[:80]}, which reads another file: expected null; "
                f"allow it by --import {class_path.partition('.')[0]}, or give the network to "
                "load_network(path, part, network)"
            )


def loaded(class_path: object) -> Any:
    """What a dotted name means among the modules that are imported already; None where it means nothing."""
    module, _, name = str(class_path).rpartition(".")
    return vars(sys.modules[module]).get(name) if module in sys.modules else None


def makes_network(named: object, vaguely: bool = True) -> bool:
    """Whether it is a class of networks, or a function that says that it returns one.

    Args:
        named: anything.
        vaguely: whether a function may return just any ``nn.Module``, as those do which take the name of another.
    """
    if isinstance(named, FunctionType):
        try:
            named = typing.get_type_hints(named).get("return")
        except Exception:  # annotations are code, which may name what is not there
            return False
        if named is nn.Module:
            return vaguely
    return isinstance(named, type) and issubclass(named, nn.Module)


def _import(home: str, origin: str) -> ModuleType:
    """Import a package of the list; a file of its name in the current folder is not that package."""
    package = home.partition(".")[0]
    if package not in sys.modules:
        spec = find_spec(package)
        if spec is None or spec.origin is None or Path.cwd() in Path(spec.origin).parents[:2]:
            raise ConfigurationError(
                f"{origin} names a network of {package}, which is not installed: pip install {package}"
            )
    return import_module(home)


def _look_up(module: ModuleType, rest: str, submodules: bool) -> Any:
    """Follow a dotted name through a package and the modules below it; None where it ends."""
    *path, name = rest.split(".")
    for step in path:
        full = f"{module.__name__}.{step}"
        found = vars(module).get(step)
        if found is None and submodules:
            try:
                found = import_module(full)
            except ImportError:  # also of a name that the submodule imports
                return None
        if not isinstance(found, ModuleType) or found.__name__ != full:
            return None
        module = found
    return getattr(module, name, None)
