"""Files of a shared pool: computed by the first process that needs them, then mapped into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write


def load_or_compute(file: Path, compute: Callable[[], dict[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
    """Load tensors from a file, or compute them and write the file.

    Of several processes that need a missing file, one computes it and the others wait. On the CPU the file is mapped
    into memory, so that processes on one machine share it.

    Args:
        file: path that identifies the tensors.
        compute: function that returns the tensors by name.
        device: device of the returned tensors.

    Raises:
        ConfigurationError: the folder cannot be written, or the file is damaged.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "demo.pt"
        >>> for value in (1, 2):
        ...     print(load_or_compute(file, lambda: {"x": torch.tensor([value])}, torch.device("cpu")))
        {'x': tensor([1])}
        {'x': tensor([1])}
    """
    if not file.exists():
        with _folder_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(file.with_suffix(".lock")).acquire()
        with lock:
            if not file.exists():
                _write(file, compute())
    try:
        with _folder_errors(file):
            tensors: dict[str, Tensor] = torch.load(str(file), map_location="cpu", mmap=True, weights_only=True)
    except RuntimeError as error:
        raise ConfigurationError(f"PooledSynthesizer.folder: {file} is damaged; delete it") from error
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _write(file: Path, tensors: dict[str, Tensor]) -> None:
    with _folder_errors(file), atomic_write(file, "wb") as stream:
        torch.save({name: tensor.cpu() for name, tensor in tensors.items()}, stream)


@contextmanager
def _folder_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"PooledSynthesizer.folder: {file}: {error.strerror}") from error
