"""Import of torchmetrics without modules that take longer to import than PyTorch, and that training does not use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

DEFERRED = ("scipy.signal", "transformers", "torchmetrics.utilities.plot")
"""Modules that torchmetrics imports for metrics of audio, text, and text with images, and for plots with matplotlib."""


class _Attribute:
    """Function or class of a deferred module, which is imported when it is called or an attribute of it is read."""

    def __init__(self, module: _Placeholder, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        return getattr(self._module.load(), self._name)(*args, **arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(getattr(self._module.load(), self._name), name)


class _Placeholder(ModuleType):
    """Module that is replaced by the real one as soon as an attribute of it is used.

    Args:
        spec: specification of the module, which is installed.
    """

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec

    def load(self) -> ModuleType:
        """Import the real module."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return import_module(self.__name__)

    def __getattr__(self, name: str) -> Any:
        # importlib reads it for `import NAME.MODULE`, the importing module for `from NAME import ATTRIBUTE`
        if name == "__path__" and sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap":
            return self.load().__path__
        if name.startswith("__"):  # `inspect` reads __file__ of all modules
            raise AttributeError(name)
        return _Attribute(self, name)


@contextmanager
def defer_imports() -> Iterator[None]:
    """Defer the imports of :data:`DEFERRED` in the block until a function or class of theirs is used.

    Example:
        >>> with defer_imports():
        ...     import torchmetrics
    """
    specs = [_find_spec(name) for name in DEFERRED if name not in sys.modules]
    placeholders = [_Placeholder(spec) for spec in specs if spec is not None]
    for placeholder in placeholders:
        sys.modules[placeholder.__name__] = placeholder
    try:
        yield
    finally:
        for placeholder in placeholders:
            if sys.modules.get(placeholder.__name__) is placeholder:
                del sys.modules[placeholder.__name__]


def _find_spec(name: str) -> ModuleSpec | None:
    """Return the specification of a module, None if it is not installed; do not import the parent torchmetrics."""
    return ModuleSpec(name, None) if name.startswith("torchmetrics.") else find_spec(name)
