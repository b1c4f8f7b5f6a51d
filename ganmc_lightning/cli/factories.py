"""Functions that build networks, as ``class_path`` in configurations.

jsonargparse accepts a function only if its return type is annotated, and its ``**kwargs`` only as ``dict_kwargs``.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import FunctionType
from typing import Any

BUILDER = "ganmc_lightning.networks.build_network"


def expand_factories(value: Any) -> Any:
    """Convert functions in a configuration to the form that jsonargparse accepts; return other values unchanged.

    * ``init_args`` that a function accepts by ``**kwargs``, such as ``num_classes`` of ``torchvision.models.resnet18``,
      are moved to ``dict_kwargs``.
    * A function without a return type is called by :func:`~ganmc_lightning.networks.build_network`.

    Args:
        value: plain values from YAML.

    Example:
        >>> given = {"class_path": "torchvision.models.resnet18", "init_args": {"num_classes": 10}}
        >>> expand_factories(given)["dict_kwargs"]
        {'num_classes': 10}
    """
    if isinstance(value, list):
        return [expand_factories(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: expand_factories(item) for key, item in value.items()}
    function = _function(value.get("class_path"))
    arguments = value.get("init_args")
    if function is None or not (arguments is None or isinstance(arguments, dict)):
        return value
    arguments = arguments or {}
    if "return" not in function.__annotations__:
        module, _, name = value["class_path"].rpartition(".")
        given = {**arguments, **(value.get("dict_kwargs") or {})}
        return {"class_path": BUILDER, "init_args": {"reference": f"{module}:{name}", "arguments": given}}
    parameters = inspect.signature(function).parameters
    further = {key: item for key, item in arguments.items() if key not in parameters}
    if not further or not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return value
    known = {key: item for key, item in arguments.items() if key in parameters}
    return {**value, "init_args": known, "dict_kwargs": {**further, **(value.get("dict_kwargs") or {})}}


def _function(class_path: object) -> FunctionType | None:
    """Import the function of a ``class_path``; None for classes, and for errors, which jsonargparse reports."""
    if not isinstance(class_path, str) or class_path.startswith(("ganmc_lightning.", "torch.", "lightning.")):
        return None
    module, _, name = class_path.rpartition(".")
    try:
        found = vars(import_module(module)).get(name)
    except Exception:  # own code raises any type, and a module name can have any form
        return None
    return found if isinstance(found, FunctionType) else None
