"""Recipes of networks in checkpoints (``class_path`` and ``init_args``), and networks built from them.

A recipe may only refer to the networks listed in :mod:`ganmc_lightning.networks.allowed`, so that a file of another
source cannot run arbitrary code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.allowed import check_arguments, find_network
from ganmc_lightning.networks.checkpoints import (
    generator_submodule,
    read_checkpoint,
    recipe_from_checkpoint,
    relevant_line,
)

MAX_RECIPE_DEPTH = 32
"""Maximum nesting of networks, lists and mappings in a recipe."""
MAX_RECIPE_VALUES = 100_000
"""Maximum number of values of a recipe, counted at each use; a checkpoint that a recipe refers to counts as 1000."""

_LOADERS: dict[str, Callable[..., nn.Module]] = {}
_reading: ContextVar[_Reading | None] = ContextVar("reading", default=None)

LoaderT = TypeVar("LoaderT", bound=Callable[..., nn.Module])


def recipe_loader(function: LoaderT) -> LoaderT:
    """Register a function that loads a network from a checkpoint; recipes may refer to it by its public names."""
    for package in ("ganmc_lightning", "ganmc_lightning.networks", function.__module__):
        _LOADERS[f"{package}.{function.__name__}"] = function
    return function


def instantiate_network(recipe: Mapping[str, Any], path: str) -> nn.Module:
    """Build the network of a recipe, with new weights.

    Args:
        recipe: ``class_path`` and ``init_args``.
        path: file of the recipe, for error messages.

    Raises:
        ConfigurationError: the recipe is not that of a network, or the network cannot be built.

    Example:
        >>> recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2, "out_features": 3}}
        >>> instantiate_network(recipe, "demo.ckpt")
        Linear(in_features=2, out_features=3, bias=True)
    """
    with _open_file(path) as reading:
        network = reading.build(recipe, path)
    if isinstance(recipe.get("attribute"), str):
        network = getattr(network, recipe["attribute"], None)
    if not isinstance(network, nn.Module):
        raise ConfigurationError(f"{path}: the recipe builds a {type(network).__name__}, expected an nn.Module")
    return network


def resolve_recipe(value: Any) -> Any:
    """Replace a recipe that refers to a checkpoint by the recipe in that checkpoint; return other values unchanged.

    A network that is initialized with the weights of an earlier run can then be rebuilt after the earlier file is
    deleted.
    """
    if not (isinstance(value, Mapping) and _is_loader(value.get("class_path"))):
        return value
    arguments = value["init_args"]
    if arguments.get("network") is not None:  # passed because the earlier run has no recipe
        return arguments["network"]
    path = arguments["path"]
    checkpoint = read_checkpoint(path)
    submodule = arguments["submodule"] or generator_submodule(checkpoint)
    return recipe_from_checkpoint(checkpoint, submodule, path)


class _Reading:
    """Files and number of recipe values read so far for one network."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._values = 0

    def count(self, values: int, path: str) -> None:
        """Raise :class:`ConfigurationError` above the limit: small files can refer to each other many times."""
        self._values += values
        if self._values > MAX_RECIPE_VALUES:
            raise ConfigurationError(f"{path}: got a recipe of more than {MAX_RECIPE_VALUES} values")

    def build(self, value: object, path: str, depth: int = 0) -> Any:
        """Build the networks that a recipe value describes; return other values unchanged."""
        self.count(1, path)
        if depth > MAX_RECIPE_DEPTH:
            raise ConfigurationError(f"{path}: got a recipe nested more than {MAX_RECIPE_DEPTH} deep")
        if isinstance(value, Mapping) and "class_path" in value:
            return self._network(value, path, depth)
        if isinstance(value, list):
            return [self.build(item, path, depth + 1) for item in value]
        return value

    def _network(self, recipe: Mapping[str, Any], path: str, depth: int) -> Any:
        class_path, arguments = recipe["class_path"], recipe.get("init_args") or {}
        if not isinstance(arguments, Mapping):
            raise ConfigurationError(f"{path}: got init_args of type {type(arguments).__name__}, expected a mapping")
        target = _LOADERS[class_path] if _is_loader(class_path) else find_network(class_path, path)
        check_arguments(class_path, target, arguments, path)
        arguments = {key: self.build(item, path, depth + 1) for key, item in arguments.items()}
        try:
            return target(**arguments)
        except ConfigurationError:
            raise
        except Exception as error:  # constructors raise any type for invalid arguments
            raise ConfigurationError(
                f"{path}: cannot build {class_path} from its recipe ({relevant_line(error)}); "
                "pass the network: load_network(path, submodule, network)"
            ) from error


@contextmanager
def _open_file(path: str) -> Iterator[_Reading]:
    """Continue the :class:`_Reading` of the file that refers to ``path``, or start a new one.

    Raises:
        ConfigurationError: the file is already being read, because its recipe refers to itself.
    """
    outer = _reading.get()
    reading = outer or _Reading()
    file = os.path.realpath(path)
    if file in reading.files:
        raise ConfigurationError(
            f"{path}: got a recipe that refers to its own file, expected the recipe of the network"
        )
    token = _reading.set(reading)
    reading.files.append(file)
    try:
        if outer is not None:
            reading.count(1000, path)
        yield reading
    finally:
        reading.files.pop()
        _reading.reset(token)


def _is_loader(class_path: object) -> bool:
    return isinstance(class_path, str) and class_path in _LOADERS
