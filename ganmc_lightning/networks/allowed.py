"""Networks that a checkpoint may refer to, and their lookup without running other code.

A checkpoint names each network by a ``class_path``. Importing an arbitrary module would run its code, and calling an
arbitrary function could read further files. Both are limited to:

* the networks and losses of this package, and the layers of ``torch.nn``;
* classes and model functions of ``torchvision.models`` and ``timm.models``, without ``weights`` and ``pretrained``;
* image classifiers of ``transformers``, by :func:`~ganmc_lightning.networks.build_network` with their configuration;
* modules allowed by the user: ``--import MODULE`` on the command line, :func:`allow_import` in Python.
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

from ganmc_lightning.exceptions import ConfigurationError, one_line

# Maps the first part of a name, longest first, to the package that defines its networks.
HOMES = {
    "ganmc_lightning.networks": "ganmc_lightning.networks",
    "ganmc_lightning.losses": "ganmc_lightning.losses",  # imported by name, because networks must not import losses
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
"""Arguments by which the model functions of torchvision and timm read files or download weights."""

EXTRAS = {"timm": "vision", "transformers": "hub"}
"""Packages that are not always installed, and the extra of this package that installs each."""

_allowed: list[str] = []


def allow_import(module: str) -> None:
    """Import a module and allow checkpoints to refer to the networks that it or its submodules define.

    The command line calls it for each ``--import MODULE``. Networks of the module are called with any arguments that a
    checkpoint contains, so only allow modules that you trust.

    Args:
        module: full name, e.g. ``"my_project.networks"``, also of a module in the current folder; the path of a file,
            e.g. ``"code/my_models.py"``, whose networks are then named ``my_models.NAME``; or ``"__main__"`` for the
            networks of a script.

    Raises:
        ConfigurationError: the module, or a module that it imports, does not exist or raises an exception; or another
            module has the name of the file.

    Example:
        >>> allow_import("torch.nn")
    """
    if module.endswith(".py"):
        module = import_file(Path(module))
    else:
        search_current_folder()  # the user's choice; files never name a module that is not allowed
        try:
            import_module(module)
        except (ImportError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"module '{module}' cannot be imported ({error}); install it, add its folder to PYTHONPATH, or pass "
                "the path of its file, --import FILE.py"
            ) from error
        except Exception as error:  # own code raises any type
            raise ConfigurationError(f"module '{module}' raised {type(error).__name__}: {one_line(error)}") from error
    if module not in _allowed:
        _allowed.append(module)


def search_current_folder() -> None:
    """Let Python find modules in the current folder, after all installed ones, as it does for a script there."""
    folder = str(Path.cwd())
    if "" not in sys.path and folder not in sys.path:
        sys.path.append(folder)


def import_file(path: Path) -> str:
    """Import a Python file under its name without the suffix, and let it import modules in its folder.

    Returns:
        The name of the module.

    Raises:
        ConfigurationError: the file does not exist, its name is no module name or that of another module, or it raises
            an exception.
    """
    name, file = path.stem, path.resolve()
    if not file.is_file():
        raise ConfigurationError(f"{path}: file not found, expected a Python file")
    if not name.isidentifier():
        raise ConfigurationError(f"{path}: '{name}' is no module name; rename the file with letters, digits and _")
    loaded = sys.modules.get(name)
    if loaded is not None and Path(str(getattr(loaded, "__file__", None))).resolve() == file:
        return name
    if loaded is not None or (find_spec(name) is not None and not _is_file_of(name, file)):
        raise ConfigurationError(f"{path}: a module '{name}' exists elsewhere; rename the file")
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        import_module(name)
    except Exception as error:  # own code raises any type
        raise ConfigurationError(f"{path}: cannot be imported, {type(error).__name__}: {one_line(error)}") from error
    return name


def _is_file_of(name: str, file: Path) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file


def allow_named(class_path: str) -> None:
    """Allow the module of a network that the user specifies (not a file), unless it is already allowed.

    Raises:
        ConfigurationError: the module does not exist.
    """
    module = class_path.rpartition(".")[0]
    if not any(f"{module}.".startswith(f"{home}.") for home in HOMES):
        allow_import(module)


def find_network(class_path: object, origin: str) -> Any:
    """Return the class or function of a network, by its name in a file.

    Args:
        class_path: full name in the file.
        origin: the file, for error messages.

    Returns:
        A subclass of :class:`torch.nn.Module`, or a function that builds one.

    Raises:
        ConfigurationError: the name is not allowed, does not exist, or is not a network.

    Example:
        >>> find_network("torch.nn.Linear", "demo.ckpt")
        <class 'torch.nn.modules.linear.Linear'>
    """
    is_name = isinstance(class_path, str) and all(step.isidentifier() for step in class_path.split("."))
    name = str(class_path) if is_name else ""
    by_user = next((home for home in _allowed if name.startswith(f"{home}.")), None)
    home = by_user or next((home for home in HOMES if name.startswith(f"{home}.")), None)
    if home is None:
        raise ConfigurationError(
            f"{origin}: got the class_path {str(class_path)[:200]!r}, expected a network of ganmc_lightning, torch.nn, "
            "torchvision.models or timm.models; if you trust its module, allow it with --import MODULE (in Python: "
            "ganmc_lightning.networks.allow_import)"
        )
    target = _look_up(import_library(home, origin), name.removeprefix(f"{home}."), submodules=by_user is not None)
    if target is None:
        raise ConfigurationError(
            f"{origin}: {name} does not exist in the installed {home}; install a version that defines it"
        )
    inside = f"{getattr(target, '__module__', '')}.".startswith(f"{by_user or HOMES[home]}.")
    if not inside or not makes_network(target, any_module=by_user is not None):
        bare = inside and isinstance(target, FunctionType) and "return" not in target.__annotations__
        fix = f"; annotate the function: def {target.__name__}(...) -> nn.Module" if bare else ""
        raise ConfigurationError(f"{origin}: {name} is not a network; it is not imported{fix}")
    return target


def check_arguments(class_path: str, target: Any, arguments: Mapping[str, Any], origin: str) -> None:
    """Check that no argument of a library's model function reads files or downloads weights.

    Raises:
        ConfigurationError: such an argument is passed or is a default, and the user did not allow the module.
    """
    if not class_path.startswith(MODEL_LIBRARIES) or any(class_path.startswith(f"{home}.") for home in _allowed):
        return
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    for name, value in {**defaults, **arguments}.items():
        if name in READING_ARGUMENTS and value is not None and value is not False:
            raise ConfigurationError(
                f"{origin}: got {class_path} with {name}={str(value)[:80]}, which reads another file, expected null; "
                f"allow it with --import {class_path.partition('.')[0]}, or pass the network: "
                "load_network(path, submodule, network)"
            )


def loaded(class_path: object) -> Any:
    """Return the object with a full name if its module is imported, else None."""
    module, _, name = str(class_path).rpartition(".")
    return vars(sys.modules[module]).get(name) if module in sys.modules else None


def makes_network(target: object, any_module: bool = True) -> bool:
    """Whether an object is a network class, or a function annotated to return one.

    Args:
        target: any object.
        any_module: whether the annotation may be ``nn.Module`` itself, as for functions that accept the name of a
            network.
    """
    if isinstance(target, FunctionType):
        try:
            target = typing.get_type_hints(target).get("return")
        except Exception:  # annotations may refer to missing objects
            return False
        if target is nn.Module:
            return any_module
    return isinstance(target, type) and issubclass(target, nn.Module)


def import_library(home: str, origin: str) -> ModuleType:
    """Import a package that files may refer to, but not a file with its name in the current folder.

    Raises:
        ConfigurationError: the package is not installed.
    """
    package = home.partition(".")[0]
    if package not in sys.modules:
        spec = find_spec(package)
        if spec is None or spec.origin is None or Path.cwd() in Path(spec.origin).parents[:2]:
            name = f"'ganmc-lightning[{EXTRAS[package]}]'" if package in EXTRAS else package
            raise ConfigurationError(f"{origin}: requires {package}, which is not installed: pip install {name}")
    return import_module(home)


def _look_up(module: ModuleType, rest: str, submodules: bool) -> Any:
    """Resolve a dotted name in a package and its submodules; None if it does not exist."""
    *path, name = rest.split(".")
    for step in path:
        full = f"{module.__name__}.{step}"
        found = vars(module).get(step)
        if found is None and submodules:
            try:
                found = import_module(full)
            except ImportError:  # also raised if the submodule imports a missing module
                return None
        if not isinstance(found, ModuleType) or found.__name__ != full:
            return None
        module = found
    return getattr(module, name, None)
