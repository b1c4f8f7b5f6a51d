"""Import of torchmetrics without ``scipy.signal``, which takes as long as a third of PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

NAME = "scipy.signal"


class _Placeholder(ModuleType):
    """Module that is replaced by ``scipy.signal`` as soon as a function of it is used."""

    hamming = None  # torchmetrics loads scipy.signal to add this function, which SciPy has removed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # `inspect` reads __file__ of all modules
            raise AttributeError(name)
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
        return getattr(import_module(NAME), name)


@contextmanager
def defer_scipy_signal() -> Iterator[None]:
    """Defer the import of ``scipy.signal`` in the block until one of its functions is used.

    Example:
        >>> with defer_scipy_signal():
        ...     import torchmetrics
    """
    placeholder = _Placeholder(NAME)
    sys.modules.setdefault(NAME, placeholder)
    try:
        yield
    finally:
        if sys.modules.get(NAME) is placeholder:
            del sys.modules[NAME]
