"""C sources of models compiled, and loaded back into Python."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganmc_lightning.exceptions import ConfigurationError

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def compile_c(source: Path | str) -> Path:
    """Compile what :func:`to_c` wrote into a shared library beside it.

    Args:
        source: the ``.c`` file.

    Returns:
        The library.

    Raises:
        ConfigurationError: there is no C compiler, no such file, or the compiler fails.
    """
    source = Path(source)
    if not source.is_file():
        raise ConfigurationError(f"{source}: no such file: give the .c file that to_c wrote")
    compiler = find_compiler()
    library = source.with_suffix(SUFFIX)
    unfinished = library.with_name(f".{library.name}.{os.getpid()}.part")
    done = subprocess.run(
        [compiler, "-O2", "-std=c99", "-shared", "-fPIC", "-o", str(unfinished), str(source)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
        raise ConfigurationError(f"{compiler} cannot compile {source}: {reason}")
    unfinished.replace(library)
    return library


def find_compiler() -> str:
    """Path of the C compiler: what ``$CC`` names, else cc, gcc or clang.

    Raises:
        ConfigurationError: there is none.
    """
    named = os.environ.get("CC")
    compiler = _compiler()
    if compiler is None:
        missing = f"CC names {named!r}, which is not found" if named else "no C compiler (cc, gcc, clang) is found"
        raise ConfigurationError(f"{missing}: install one, or set CC")
    return compiler


def has_compiler() -> bool:
    """Whether :func:`find_compiler` finds one; false only where none is named and none is found."""
    return bool(os.environ.get("CC")) or _compiler() is not None


def _compiler() -> str | None:
    named = os.environ.get("CC")
    found = [shutil.which(name) for name in ([named] if named else ["cc", "gcc", "clang"])]
    return next((path for path in found if path), None)


class CModel:
    """A compiled model.

    Args:
        library: what :func:`compile_c` made; the names in it begin with the name of the file.

    Attributes:
        n_features_in_: values a row.
        n_outputs: probabilities or values for each row.

    Raises:
        ConfigurationError: it cannot be loaded.
    """

    def __init__(self, library: Path | str) -> None:
        library = Path(library)
        name = library.stem
        try:
            loaded = _load(library.resolve())
            self.n_features_in_ = ctypes.c_int.in_dll(loaded, f"{name}_features").value
            self.n_outputs = ctypes.c_int.in_dll(loaded, f"{name}_outputs").value
            self._predict = loaded[f"{name}_predict"]
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"{library} cannot be loaded as a compiled model: {error}") from error
        self._predict.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        self._predict.restype = None
        self._labels = getattr(loaded, f"{name}_labels", None)
        if self._labels is not None:
            self._labels.argtypes = self._predict.argtypes
            self._labels.restype = None
        self._library = library

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the model answers, float64 (N, n_outputs), to rows (N, D), which are rounded to float32."""
        rows = np.ascontiguousarray(X, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise ConfigurationError(f"X has shape {rows.shape}: rows must be (N, {self.n_features_in_})")
        out = np.empty((len(rows), self.n_outputs))
        self._predict(rows.ctypes.data, len(rows), out.ctypes.data)
        return out

    def labels(self, X: ArrayLike) -> NDArray[np.intc]:
        """The classes (N,) of rows (N, D), as numbers from 0 in the order of the probabilities.

        Raises:
            ConfigurationError: the model is a regressor.
        """
        if self._labels is None:
            raise ConfigurationError(f"{self._library} has no classes: it is a regressor; call predict")
        out = self.predict(X)
        labels = np.empty(len(out), dtype=np.intc)
        self._labels(out.ctypes.data, len(out), labels.ctypes.data)
        return labels


def _load(library: Path) -> ctypes.CDLL:
    """Load what the file holds now.

    A loader that has loaded a file of the same path before returns that one again, though the file has been replaced
    since. A link has a path of its own.
    """
    if sys.platform == "win32":  # where a loaded file cannot be replaced, nor a link be made by every user
        return ctypes.CDLL(str(library))
    with TemporaryDirectory() as folder:
        link = Path(folder, library.name)
        link.symlink_to(library)
        return ctypes.CDLL(str(link))
