"""Hash of an object's state, which names files that are computed from the object."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Set
from enum import Enum
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganmc_lightning.exceptions import ConfigurationError

_SCALARS = (type(None), bool, int, float, complex, str, bytes, Path, torch.dtype, torch.device, torch.Size)


@runtime_checkable
class SupportsHashState(Protocol):
    """Interface of objects whose hash depends on more than what pickle stores, such as the contents of a file."""

    def hash_state(self) -> object:
        """Return what is hashed, in addition to the class."""
        ...


def hash_object(value: object) -> str:
    """Compute the sha256 of everything that pickle would store of an object, and of the source of its classes.

    Tensors are hashed by value, independent of their device. Objects of equal state have equal hashes in every process,
    which is not true of pickled bytes.

    Args:
        value: a network, a synthesizer, a tensor, or a container of these. Of :class:`SupportsHashState`, its
            ``hash_state()`` is hashed instead of what pickle stores.

    Raises:
        ConfigurationError: a part cannot be pickled, such as a function defined in another function, or is defined in
            an interactive session.

    Example:
        >>> one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        >>> hash_object(one) == hash_object(other)
        False
        >>> _ = other.load_state_dict(one.state_dict())
        >>> hash_object(one) == hash_object(other)
        True
    """
    state = _State()
    state.add(torch.__version__)
    state.add(value)
    return state.digest.hexdigest()


class _State:
    """Digest of an object's parts; a reference to an enclosing part is replaced by its depth."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._enclosing: dict[int, int] = {}  # id -> depth

    def add(self, value: Any) -> None:
        """Add an object and everything that it refers to."""
        if isinstance(value, _SCALARS) or value is Ellipsis:
            self._write(type(value).__name__, repr(value))
        elif isinstance(value, type | FunctionType | BuiltinFunctionType | Enum):
            self._add_definition(value)
        elif id(value) in self._enclosing:
            self._write("enclosing", self._enclosing[id(value)])
        else:
            self._enclosing[id(value)] = len(self._enclosing)
            self._add_content(value)
            del self._enclosing[id(value)]

    def _add_content(self, value: Any) -> None:
        if isinstance(value, Tensor):
            tensor = value.detach().cpu().contiguous()
            self._write("tensor", tensor.dtype, tuple(tensor.shape))
            self.digest.update(tensor.flatten().view(torch.uint8).numpy().data)
        elif isinstance(value, np.ndarray):
            self._write("array", value.dtype.str, value.shape)
            if value.dtype.hasobject:
                self.add(value.tolist())
            else:
                self.digest.update(value.tobytes())
        elif isinstance(value, Mapping):
            self._write("mapping", len(value))
            for key, item in value.items():
                self.add(key)
                self.add(item)
        elif isinstance(value, list | tuple):
            self._write("sequence", len(value))
            for item in value:
                self.add(item)
        elif isinstance(value, Set):
            self._write("set", *sorted(map(repr, value)))
        else:
            self._add_state(value)

    def _add_state(self, value: Any) -> None:
        """Add the class and the state that pickle stores."""
        if isinstance(value, nn.Module) and parametrize.is_parametrized(value):  # its class is local, and not pickled
            self._add_definition(parametrize.type_before_parametrizations(value))
            self.add(vars(value))
            return
        self._add_definition(type(value))
        if isinstance(value, SupportsHashState):
            self.add(value.hash_state())
            return
        try:
            reduced = value.__reduce_ex__(4)
        except TypeError as error:
            raise ConfigurationError(f"hash of a {type(value).__name__}: {error}") from error
        if isinstance(reduced, str):  # a global name
            self._write("global", reduced)
            return
        function, arguments, *states = reduced
        self.add(function)
        self.add(tuple(arguments))
        for state in states:
            self.add(state if state is None or isinstance(state, Mapping | tuple | list) else list(state))

    def _add_definition(self, value: Any) -> None:
        """Add the name of a class, function or member of an enumeration, and the source files that define it."""
        if isinstance(value, Enum):
            self._add_definition(type(value))
            self._write("member", value.name)
            return
        if "<" in value.__qualname__:  # <locals> or <lambda>
            raise ConfigurationError(
                f"hash of {value.__module__}.{value.__qualname__}: got a local object, expected a name in a module"
            )
        self._write("name", value.__module__, value.__qualname__)
        for part in value.__mro__ if isinstance(value, type) else (value,):
            self._write("source", _hash_source(part))

    def _write(self, *words: object) -> None:
        self.digest.update(f"{words!r}\0".encode())


@cache
def _hash_source(definition: Any) -> str:
    """Compute the sha256 of the file that defines a class or function; empty if it is not written in Python."""
    try:
        file = inspect.getsourcefile(definition)
    except TypeError:
        return ""
    except OSError:  # class of an interactive session
        file = None
    if file and Path(file).is_file():
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    if definition.__module__ == "__main__":
        raise ConfigurationError(
            f"hash of {definition.__qualname__}: got a name in an interactive session, expected a name in a module"
        )
    return ""
