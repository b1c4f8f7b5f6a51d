"""Names and arguments of classes, read from source files, because importing them takes seconds."""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import ganmc_lightning

PACKAGE = ganmc_lightning.__name__
TRAINER = "lightning.pytorch.trainer.trainer.Trainer"

Node = ast.ClassDef | ast.FunctionDef
Import = tuple[str, str]
"""Module and name of an imported object."""


class Definition(NamedTuple):
    """A class or function.

    Attributes:
        module: dotted name of its module.
        node: its syntax tree.
    """

    module: str
    node: Node


def names_of(module: str) -> list[str] | None:
    """Return the public names of a module of an installed package, None if there is no such file.

    Example:
        >>> "MLPClassifier" in names_of("ganmc_lightning.networks")
        True
        >>> names_of("ganmc_lightning.network") is None
        True
    """
    file = _file(module)
    if file is None:
        return None
    names = {*_names(file), *(ganmc_lightning.__all__ if module == PACKAGE else ())}
    if file.name == "__init__.py":
        names |= {path.stem for path in file.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    return sorted(name for name in names if not name.startswith("_"))


def arguments_of(path: str) -> list[str] | None:
    """Return the argument names of a class or function, None if its source does not list them all.

    Args:
        path: dotted path, such as ``ganmc_lightning.networks.MLPClassifier``.

    Example:
        >>> arguments_of("ganmc_lightning.networks.MLPClassifier")
        ['in_features', 'num_classes', 'hidden', 'dropout']
        >>> arguments_of("ganmc_lightning.networks.NoSuchNetwork") is None
        True
    """
    found = _find(*path.rpartition(".")[::2])
    while found is not None and isinstance(found.node, ast.ClassDef):
        constructor = next(
            (item for item in found.node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None
        )
        if constructor is not None:
            return _arguments(constructor, skip=1)
        if found.node.decorator_list or len(found.node.bases) != 1:  # a dataclass, or several constructors
            return None
        base = ast.unparse(found.node.bases[0])
        found = None if "." in base else _find(found.module, base)
    return None if found is None else _arguments(found.node, skip=0)


def _arguments(function: Node, skip: int) -> list[str] | None:
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    if arguments.kwarg is not None:
        return None
    return [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)][skip:] + [
        argument.arg for argument in arguments.kwonlyargs
    ]


def _find(module: str, name: str) -> Definition | None:
    """Find the definition of a name, following imports within installed packages."""
    if module == PACKAGE and name in ganmc_lightning._LAZY_IMPORTS:
        module = f"{PACKAGE}.{ganmc_lightning._LAZY_IMPORTS[name]}"
    file = _file(module)
    found = None if file is None else _names(file).get(name)
    if isinstance(found, tuple):
        return _find(*found)
    return None if found is None else Definition(module, found)


def _file(module: str) -> Path | None:
    """Return the source file of a module, without importing the packages that contain it."""
    top, *inner = module.split(".")
    try:
        spec = find_spec(top) if all(part.isidentifier() for part in (top, *inner)) else None
    except (ImportError, ValueError):  # e.g. __main__
        return None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *inner)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None


@cache
def _names(file: Path) -> dict[str, Node | Import | None]:
    """Return the top-level names of a file: definitions, imports, and None for all others."""
    names: dict[str, Node | Import | None] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            names |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id: None for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = None
    return names
