"""Limit the memory of a network built from a file, whose recipe can describe any size in a few bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import MAX_EXPANSION, size_limit

_SHAPED = frozenset({"empty", "empty_strided", "zeros", "ones", "full", "rand", "randn", "randint"})
_COUNTED = frozenset({"arange", "eye", "linspace"})


class AllocationLimit(TorchDispatchMode):
    """Context in which new tensors have at most :func:`~ganmc_lightning.io.archives.size_limit` bytes in total.

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
        """Compute the size of a new tensor before it is allocated."""
        self._check(4 * _elements(func, args))
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and _elements(func, args):
            self._bytes += result.nbytes
        return result

    def _check(self, size: int) -> None:
        if self._bytes + size > self._limit:
            raise ConfigurationError(
                f"{self._path}: its recipe builds a network of more than {self._limit:,} bytes, expected at most "
                f"{MAX_EXPANSION} times the size of the file; pass the network: load_network(path, submodule, network)"
            )


def _elements(func: Any, args: tuple[Any, ...]) -> int:
    """Return the number of elements that a function allocates; 0 for functions that create no tensor by a size."""
    name = func.overloadpacket.__name__
    if name in _SHAPED:
        sizes = next((item for item in args if isinstance(item, list | tuple)), ())
        return math.prod(size for size in sizes if isinstance(size, int))
    if name in _COUNTED:
        return int(max((abs(item) for item in args if isinstance(item, int | float)), default=0))
    return 0
