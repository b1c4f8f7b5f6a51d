"""Compile C sources of models and load them into Python."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import temporary_path
from ganmc_lightning.tabular.export.target import to_samples

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def compile_c(source: Path | str) -> Path:
    """Compile the output of :func:`to_c` to a shared library in its folder.

    Args:
        source: ``.c`` file.

    Returns:
        Path of the library.

    Raises:
        ConfigurationError: the file or a C compiler is not found, or the compiler fails.
    """
    source = Path(source)
    if not source.is_file():
        raise ConfigurationError(f"{source}: file not found, expected a .c file written by to_c")
    compiler = find_compiler()
    library = source.with_suffix(SUFFIX)
    unfinished = temporary_path(library)
    _run(source, [*compiler, "-O2", "-std=c99", "-shared", "-fPIC", "-o", str(unfinished), str(source), "-lm"])
    unfinished.replace(library)
    return library


def find_compiler() -> list[str]:
    """Return the command of the C compiler: ``$CC``, such as ``ccache gcc``, else cc, gcc or clang.

    Raises:
        ConfigurationError: no compiler is found.
    """
    named = os.environ.get("CC")
    compiler = _compiler()
    if compiler is None:
        missing = f"CC: {named!r} not found" if named else "no C compiler (cc, gcc, clang) found"
        raise ConfigurationError(f"{missing}; install one or set CC")
    return compiler


def has_compiler() -> bool:
    """Return False only where ``$CC`` is not set and no compiler is found."""
    return bool(os.environ.get("CC")) or _compiler() is not None


def _compiler() -> list[str] | None:
    named = os.environ.get("CC")
    commands = [[named], _split(named)] if named else [["cc"], ["gcc"], ["clang"]]
    found = ((shutil.which(name), arguments) for name, *arguments in commands)
    return next(([path, *arguments] for path, arguments in found if path), None)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command) or [command]
    except ValueError:  # a quote that is not closed
        return [command]


class CModel:
    """Predict with a compiled model.

    Args:
        library: shared library of :func:`compile_c`; its symbols start with the file name.

    Attributes:
        n_features_in_: number of features D.
        n_outputs: number of probabilities or values per sample.
        dtype: type that samples are cast to: float32, or float64 for boosting.

    Raises:
        ConfigurationError: the library cannot be loaded.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> tree = DecisionTreeClassifier().fit([[0.0], [1.0]], ["no", "yes"])
        >>> with TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     model = CModel(compile_c(to_c(tree, folder)))
        >>> model.predict([[1.0]]).tolist(), model.labels([[1.0]]).tolist()  # doctest: +SKIP
        ([[0.0, 1.0]], [1])
    """

    def __init__(self, library: Path | str) -> None:
        library = Path(library)
        name = library.stem
        try:
            loaded = _load(library.resolve())
            self.n_features_in_ = ctypes.c_int.in_dll(loaded, f"{name}_features").value
            self.n_outputs = ctypes.c_int.in_dll(loaded, f"{name}_outputs").value
            feature_bytes = ctypes.c_int.in_dll(loaded, f"{name}_feature_bytes").value
            self._predict = loaded[f"{name}_predict"]
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"{library}: cannot be loaded as a compiled model: {error}") from error
        self.dtype = np.dtype(f"f{feature_bytes}")
        self._labels = getattr(loaded, f"{name}_labels", None)
        self._decide = getattr(loaded, f"{name}_decision_function", None)
        for function in (self._predict, self._labels, self._decide):
            if function is not None:
                function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
                function.restype = None
        self._integers = tuple(getattr(loaded, f"{name}_{part}", None) for part in ("quantize", "classify"))
        self._library = library

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict probabilities or values, float64 (N, n_outputs), of samples (N, D), which are cast to ``dtype``."""
        samples = to_samples(X, self.n_features_in_, self.dtype)
        out = np.empty((len(samples), self.n_outputs))
        self._predict(samples.ctypes.data, len(samples), out.ctypes.data)
        return out

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the sums (N, K) before the link function of samples (N, D): K is 1 for two classes.

        Raises:
            ConfigurationError: the model is no boosted classifier.
        """
        if self._decide is None:
            raise ConfigurationError(
                f"{self._library}: only a boosted classifier has a decision function; call predict"
            )
        samples = to_samples(X, self.n_features_in_, self.dtype)
        out = np.empty((len(samples), 1 if self.n_outputs == 2 else self.n_outputs))
        self._decide(samples.ctypes.data, len(samples), out.ctypes.data)
        return out

    def labels(self, X: ArrayLike) -> NDArray[np.intc]:
        """Predict the class indices (N,) of samples (N, D), in the order of the probabilities.

        Raises:
            ConfigurationError: the model is a regressor.
        """
        if self._labels is None:
            raise ConfigurationError(f"{self._library}: a regressor has no labels; call predict")
        out = self.predict(X)
        labels = np.empty(len(out), dtype=np.intc)
        self._labels(out.ctypes.data, len(out), labels.ctypes.data)
        return labels

    def classify(self, X: ArrayLike) -> NDArray[np.intc]:
        """Predict the class indices (N,) of samples (N, D) by integer arithmetic only.

        Raises:
            ConfigurationError: the model is no classifier in 16-bit integers.
        """
        quantize, classify = self._integers
        if quantize is None or classify is None:
            raise ConfigurationError(f"{self._library}: only a classifier of to_c_int16 classifies integers")
        samples = to_samples(X, self.n_features_in_, self.dtype)
        quantized, labels = np.empty(self.n_features_in_, dtype=np.int16), np.empty(len(samples), dtype=np.intc)
        for number, row in enumerate(samples):
            quantize(ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(quantized.ctypes.data))
            labels[number] = classify(ctypes.c_void_p(quantized.ctypes.data))
        return labels


def _load(library: Path) -> ctypes.CDLL:
    """Load the current content of a library.

    The loader caches libraries by path, even if the file has been replaced since. A temporary link has a new path.
    """
    if sys.platform == "win32":  # a loaded file cannot be replaced there, and links need a privilege
        return ctypes.CDLL(str(library))
    with TemporaryDirectory() as folder:
        link = Path(folder, library.name)
        link.symlink_to(library)
        return ctypes.CDLL(str(link))


@dataclass(frozen=True)
class ObjectSize:
    """Bytes of a C source, compiled for size.

    Attributes:
        file_bytes: size of the object file, symbols included.
        flash_bytes: machine code and constants.
        ram_bytes: static variables; the stack is not included.

    Example:
        >>> ObjectSize(file_bytes=4096, flash_bytes=2100, ram_bytes=0).ram_bytes
        0
    """

    file_bytes: int
    flash_bytes: int
    ram_bytes: int


def measure_object(source: Path | str, flags: Sequence[str] = ()) -> ObjectSize:
    """Compile a C source with ``-Os`` and measure the object; requires the tool ``size`` of the compiler's package.

    Args:
        source: ``.c`` file.
        flags: more arguments of the compiler, such as ``-DMODEL_NO_DOUBLE`` (default: none).

    Raises:
        ConfigurationError: a C compiler or ``size`` is not found or fails.
    """
    source, compiler, size = Path(source), find_compiler(), shutil.which("size")
    if size is None:
        raise ConfigurationError("size: not found, expected the program of binutils that measures object files")
    with TemporaryDirectory() as folder:
        compiled = Path(folder, "model.o")
        _run(source, [*compiler, "-Os", "-std=c99", *flags, "-c", "-o", str(compiled), str(source)])
        # Berkeley format: a header line, then bytes of text, data and bss
        printed = _run(source, [size, str(compiled)])
        text, data, bss = (int(word) for word in printed.splitlines()[1].split()[:3])
        return ObjectSize(compiled.stat().st_size, text, data + bss)


def _run(source: Path, command: list[str]) -> str:
    """Run a compiler or ``size`` for a source; return its output.

    Raises:
        ConfigurationError: it fails; names the first error.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
        raise ConfigurationError(f"{source}: {command[0]} failed: {reason}")
    return done.stdout
