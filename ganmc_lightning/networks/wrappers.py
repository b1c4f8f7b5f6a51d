"""Networks inside ``torch.compile`` and ``DistributedDataParallel``, and the prefixes these leave in checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

COMPILED = "_orig_mod"
PREFIXES = (COMPILED, "module")
"""Names under which a compiled and a distributed network hold the network itself."""


def plain_name(name: str) -> str:
    """A parameter's name without the prefixes of wrappers, wherever they occur.

    Example:
        >>> plain_name("student._orig_mod.layers.0.weight")
        'student.layers.0.weight'
    """
    return ".".join(part for part in name.split(".") if part not in PREFIXES)


def renamed(weights: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Weights under the names that a network has for them, whichever of the two was compiled or distributed.

    Args:
        weights: tensors by their names in a checkpoint.
        names: keys of the network's own state.

    Returns:
        The same tensors; a name without a unique counterpart is left as it is, for loading to report it.

    Example:
        >>> renamed({"module.0.weight": 1}, ["_orig_mod.0.weight"])
        {'_orig_mod.0.weight': 1}
    """
    own: dict[str, list[str]] = {}
    for name in names:
        own.setdefault(plain_name(name), []).append(name)
    exact = {name for group in own.values() for name in group}
    found: dict[str, Any] = {}
    for name, value in weights.items():
        group = own.get(plain_name(name), [])
        found[group[0] if len(group) == 1 and name not in exact else name] = value
    return found if len(found) == len(weights) else dict(weights)


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside ``torch.compile`` and ``DistributedDataParallel``; any other is returned as it is."""
    while True:
        # By name: importing the class of compiled networks takes longer than the rest of this package.
        if type(network).__name__ == "OptimizedModule":
            network = getattr(network, COMPILED)
        elif isinstance(network, DataParallel | DistributedDataParallel):
            network = network.module
        else:
            return network
