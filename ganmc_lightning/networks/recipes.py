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
from ganmc_lightning.networks.checkpoints import relevant_line

MAX_RECIPE_DEPTH = 32
"""Maximum nesting of networks, lists and mappings in a recipe."""
MAX_RECIPE_VALUES = 100_000
"""Maximum number of values of a recipe, counted at each use; a checkpoint that a recipe refers to counts as 1000."""

BUILDER = "ganmc_lightning.networks.build_network"
BY_NAME = {
    "timm.create_model": ("timm", "model_name"),
    "timm.models.create_model": ("timm", "model_name"),
    "torchvision.models.get_model": ("torchvision", "name"),
}
"""Functions that build a network by name: library and argument of the name. With any name they could download files."""

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

    Callers that read the recipe from a file limit the size of the network by
    :class:`~ganmc_lightning.networks.allocation.AllocationLimit`.

    Args:
        recipe: ``class_path`` and ``init_args``.
        path: origin of the recipe, for error messages.

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


def in_recipe() -> bool:
    """Whether a network is being built from a recipe, which must not run other code or download files."""
    return _reading.get() is not None


def is_loader(class_path: object) -> bool:
    """Whether a ``class_path`` is that of a function registered by :func:`recipe_loader`."""
    return isinstance(class_path, str) and class_path in _LOADERS


def loader_of(class_path: str) -> Callable[..., nn.Module]:
    """Return the function registered by :func:`recipe_loader` under a ``class_path``."""
    return _LOADERS[class_path]


def arguments_of_recipe(recipe: Mapping[str, Any]) -> Any:
    """Return ``init_args`` and ``dict_kwargs`` (arguments that a function accepts by ``**kwargs``) of a recipe.

    Example:
        >>> arguments_of_recipe({"init_args": {"model_name": "resnet18"}, "dict_kwargs": {"num_classes": 10}})
        {'model_name': 'resnet18', 'num_classes': 10}
    """
    arguments, further = recipe.get("init_args") or {}, recipe.get("dict_kwargs") or {}
    return {**arguments, **further} if isinstance(arguments, Mapping) and isinstance(further, Mapping) else arguments


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
        class_path, arguments = recipe["class_path"], arguments_of_recipe(recipe)
        if not isinstance(arguments, Mapping):
            raise ConfigurationError(f"{path}: got init_args of type {type(arguments).__name__}, expected a mapping")
        class_path, arguments = _by_reference(class_path, arguments, path)
        target = _LOADERS[class_path] if is_loader(class_path) else find_network(class_path, path)
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


def _by_reference(class_path: object, arguments: Mapping[str, Any], path: str) -> tuple[Any, Mapping[str, Any]]:
    """Replace the functions of timm and torchvision that take the name of a network by :data:`BUILDER`."""
    if not isinstance(class_path, str) or class_path not in BY_NAME:
        return class_path, arguments
    library, key = BY_NAME[class_path]
    rest = dict(arguments)
    name = rest.pop(key, None)
    if not isinstance(name, str) or ":" in name:
        raise ConfigurationError(f"{path}: got {class_path} with {key}={name!r}, expected the name of a network")
    return BUILDER, {"reference": f"{library}:{name}", "arguments": rest}
