"""Networks wrapped by ``torch.compile`` and ``DistributedDataParallel``, and the prefixes in their state dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

COMPILED = "_orig_mod"
PREFIXES = (COMPILED, "module")
"""Attributes of compiled and distributed networks that contain the original network."""


def plain_name(name: str) -> str:
    """Return a parameter name without the prefixes of wrappers, at any position.

    Example:
        >>> plain_name("student._orig_mod.layers.0.weight")
        'student.layers.0.weight'
    """
    return ".".join(step for step in name.split(".") if step not in PREFIXES)


def rename_weights(weights: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Rename the weights of a compiled or distributed network as in a plain network, or vice versa.

    Args:
        weights: tensors by parameter name in a checkpoint.
        names: keys of the state dict of the network.

    Returns:
        The weights by new name; names without a unique counterpart are unchanged, so that ``load_state_dict`` reports
        them.

    Example:
        >>> rename_weights({"module.0.weight": 1}, ["_orig_mod.0.weight"])
        {'_orig_mod.0.weight': 1}
    """
    own: dict[str, list[str]] = {}
    for name in names:
        own.setdefault(plain_name(name), []).append(name)
    exact = {name for group in own.values() for name in group}
    result: dict[str, Any] = {}
    for name, value in weights.items():
        group = own.get(plain_name(name), [])
        result[group[0] if len(group) == 1 and name not in exact else name] = value
    return result if len(result) == len(weights) else dict(weights)


def unwrap(network: nn.Module) -> nn.Module:
    """Return the network inside ``torch.compile`` and ``DistributedDataParallel`` wrappers, if any."""
    while True:
        # Compared by name: importing the class takes longer than importing this package.
        if type(network).__name__ == "OptimizedModule":
            network = getattr(network, COMPILED)
        elif isinstance(network, DataParallel | DistributedDataParallel):
            network = network.module
        else:
            return network
