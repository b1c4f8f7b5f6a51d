"""Limit the memory of a network built from a file, whose recipe can describe any size in a few bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import MAX_EXPANSION, size_limit


class AllocationLimit(TorchDispatchMode):
    """Context in which new tensors have at most :func:`~ganmc_lightning.io.archives.size_limit` bytes in total.

    All results of operations count, also those that are freed again, but not views.

    Args:
        path: the file with the recipe and the weights of the network.

    Raises:
        ConfigurationError: the tensors of the network are larger.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.NamedTemporaryFile() as file, AllocationLimit(file.name):
        ...     torch.nn.Linear(10**6, 10**6)
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: ...: its recipe builds a network of more than 268,435,456...
    """

    def __init__(self, path: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self._path = path
        self._limit = size_limit(path)
        self._bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute the size of new tensors before they are allocated, as far as it depends only on shapes."""
        kwargs = kwargs or {}
        if _allocates(func):
            self._check(_planned_bytes(func, args, kwargs))
        result = func(*args, **kwargs)
        if _allocates(func):
            self._bytes += _new_bytes(result, (args, kwargs))
        elif func is torch.ops.aten.set_.source_Storage_storage_offset:  # deepcopy of a buffer copies without operation
            self._bytes += result.nbytes
        self._check(0)
        return result

    def _check(self, size: int) -> None:
        if self._bytes + size > self._limit:
            raise ConfigurationError(
                f"{self._path}: its recipe builds a network of more than {self._limit:,} bytes, expected at most "
                f"{MAX_EXPANSION} times the size of the file; pass the network: load_network(path, submodule, network)"
            )


@cache
def _allocates(func: Any) -> bool:
    """Whether an operation returns tensors other than its arguments and views of them."""
    return any(value.alias_info is None for value in func._schema.returns)


def _planned_bytes(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Return the bytes that an operation would allocate; 0 if they depend on the values of its arguments.

    The operation runs on the ``meta`` device, which computes shapes only.
    """
    # A generator is of one device, and must not be advanced.
    named = {key: value for key, value in kwargs.items() if key not in ("generator", "pin_memory")}
    if "device" in named or not any(isinstance(leaf, Tensor) for leaf in tree_leaves(args)):
        named["device"] = torch.device("meta")
    args, named = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, named))
    try:
        return _new_bytes(func(*args, **named), (args, named))
    except Exception:  # any type, for operations that the device does not implement
        return 0


def _new_bytes(result: Any, arguments: Any) -> int:
    """Return the bytes of the tensors in a result that do not share memory with the arguments."""
    known = {_storage(leaf) for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)}
    return sum(leaf.nbytes for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and _storage(leaf) not in known)


def _storage(tensor: Tensor) -> int:
    """Return the identity of a tensor's memory, which views share."""
    identity: int = tensor.untyped_storage()._cdata
    return identity
