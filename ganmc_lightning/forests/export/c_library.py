"""C sources of models compiled, and loaded back into Python."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganmc_lightning.errors import InputError

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def compile_c(source: Path) -> Path:
    """Compile what :func:`to_c` wrote into a shared library beside it.

    Args:
        source: the ``.c`` file.

    Returns:
        The library.

    Raises:
        InputError: there is no C compiler, or it fails.
    """
    compiler = find_compiler()
    library = source.with_suffix(SUFFIX)
    part = library.with_name(f".{library.name}.part")
    done = subprocess.run(
        [compiler, "-O2", "-std=c99", "-shared", "-fPIC", "-o", str(part), str(source)], capture_output=True, text=True
    )
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
        raise InputError(f"{compiler} cannot compile {source}: {reason}")
    part.replace(library)
    return library


def find_compiler() -> str:
    """Path of the C compiler: what ``$CC`` names, else cc, gcc or clang.

    Raises:
        InputError: there is none.
    """
    named = os.environ.get("CC")
    found = [shutil.which(name) for name in ([named] if named else ["cc", "gcc", "clang"])]
    compiler = next((path for path in found if path), None)
    if compiler is None:
        missing = f"CC names {named!r}, which is not found" if named else "no C compiler (cc, gcc, clang) is found"
        raise InputError(f"{missing}: install one, or set CC")
    return compiler


class CModel:
    """A compiled model.

    Args:
        library: what :func:`compile_c` made; the names in it begin with the name of the file.

    Attributes:
        n_features_in_: values a row.
        n_outputs: probabilities or values for each row.

    Raises:
        InputError: it cannot be loaded.
    """

    def __init__(self, library: Path) -> None:
        name = library.stem
        try:
            loaded = ctypes.CDLL(str(library.resolve()))
            self.n_features_in_ = ctypes.c_int.in_dll(loaded, f"{name}_features").value
            self.n_outputs = ctypes.c_int.in_dll(loaded, f"{name}_outputs").value
            self._predict = loaded[f"{name}_predict"]
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{library} cannot be loaded as a compiled model: {error}") from error
        self._predict.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        self._predict.restype = None

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the model answers, float64 (N, n_outputs), to rows (N, D), which are rounded to float32."""
        rows = np.ascontiguousarray(X, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise InputError(f"X has shape {rows.shape}: rows must be (N, {self.n_features_in_})")
        out = np.empty((len(rows), self.n_outputs))
        self._predict(rows.ctypes.data, len(rows), out.ctypes.data)
        return out
