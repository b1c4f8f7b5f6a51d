"""Files of a shared pool: written in chunks by the first process that needs them, then mapped into memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from filelock import FileLock
from numpy.lib import format as npy
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.input_files import check_regular_file


def load_or_compute(
    folder: Path, size: int, compute: Callable[[], Iterable[Mapping[str, Tensor]]], device: torch.device
) -> dict[str, Tensor]:
    """Load tensors from a folder of ``.npy`` files, or compute them in chunks and write the files.

    Of several processes that need a missing folder, one computes it and the others wait. A chunk is written before the
    next one is computed. On the CPU the files are mapped into memory, so that processes on one machine share them.

    Args:
        folder: path that identifies the tensors; exists only with complete files.
        size: length of the tensors.
        compute: function that returns the tensors by name, in consecutive chunks.
        device: device of the returned tensors.

    Raises:
        ConfigurationError: the folder cannot be written, or a file is damaged.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "demo"
        >>> for value in (1, 2):
        ...     chunks = lambda: ({"x": torch.tensor([value + step])} for step in (0, 10))
        ...     print(load_or_compute(folder, 2, chunks, torch.device("cpu")))
        {'x': tensor([ 1, 11])}
        {'x': tensor([ 1, 11])}
    """
    if not folder.exists():
        with _folder_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.with_suffix(".lock")).acquire()
        with lock:
            if not folder.exists():
                _write(folder, size, compute())
    with _folder_errors(folder):
        tensors = {file.stem: _load(file, size) for file in sorted(folder.glob("*.npy"))}
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _load(file: Path, size: int) -> Tensor:
    """Map a file into memory."""
    try:
        # Copy-on-write, because PyTorch has no read-only tensors.
        tensor = torch.from_numpy(np.load(check_regular_file(file), mmap_mode="c"))
        complete = len(tensor) == size
    except Exception:  # numpy raises many types on damaged bytes
        complete = False
    if not complete:
        raise ConfigurationError(f"PooledSynthesizer.folder: {file} is damaged; delete {file.parent}")
    return tensor


def _write(folder: Path, size: int, chunks: Iterable[Mapping[str, Tensor]]) -> None:
    """Write a temporary folder and rename it when all files are complete."""
    temporary = folder.with_suffix(".part")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed; only one process holds the lock
    try:
        with ExitStack() as stack:
            files: dict[str, BinaryIO] = {}
            for chunk in chunks:  # errors of a draw are not errors of the folder
                with _folder_errors(folder):
                    temporary.mkdir(exist_ok=True)
                    for name, tensor in chunk.items():
                        array = tensor.cpu().contiguous().numpy()
                        if name not in files:
                            files[name] = stack.enter_context((temporary / f"{name}.npy").open("wb"))
                            header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False}
                            npy.write_array_header_1_0(files[name], {**header, "shape": (size, *array.shape[1:])})
                        files[name].write(array.data)
            with _folder_errors(folder):
                for file in files.values():
                    file.flush()
                    os.fsync(file.fileno())
        with _folder_errors(folder):
            temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"PooledSynthesizer.folder: {folder}: {error.strerror}") from error
