"""Data sets that are downloaded once and cached as one ``.npz`` file under the data root."""

from __future__ import annotations

import os
import textwrap
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits
from ganmc_lightning.data.datasets.npz import read_splits
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.npz import ChunkedArray, write_npz

NpzArrays = Mapping[str, NDArray[Any] | ChunkedArray]
"""Arrays of a ``.npz`` file by name, whole or in chunks."""


class CachedDataset(DatasetSource):
    """Base class of data sets that are cached as ``<name>.npz``; if the file exists, nothing is downloaded.

    Attributes:
        expected_arrays: arrays that the file must contain, for error messages.
        class_names: class names, used if the file has no array ``class_names``.
    """

    expected_arrays: str
    class_names: tuple[str, ...] = ()

    @abstractmethod
    def fetch(self, root: Path) -> NpzArrays:
        """Download the data and return the arrays to store; the downloader may leave its own files under ``root``.

        Raises:
            Exception: any error of the downloader.
        """

    def file(self, root: Path) -> Path:
        """Return the path of the ``.npz`` file."""
        return root / f"{self.name}.npz"

    def prepare(self, root: Path) -> None:
        """Download the data and write the ``.npz`` file, unless it exists.

        Raises:
            ConfigurationError: the root is not writable, or the data cannot be downloaded.
        """
        if self.file(root).exists():
            return
        _make_writable(root)
        with self._report_download_errors(root):
            arrays = self.fetch(root)
        write_npz(self.file(root), arrays)

    def load(self, root: Path) -> DatasetSplits:
        """Read and validate the ``.npz`` file.

        Raises:
            ConfigurationError: the file is missing or invalid.
        """
        return read_splits(self.file(root), self.class_names)

    @contextmanager
    def _report_download_errors(self, root: Path) -> Iterator[None]:
        try:
            yield
        except ConfigurationError:
            raise
        # Downloaders raise many types (network, archive, checksum, missing package), all fixed by providing the file.
        except Exception as error:
            reason = textwrap.shorten(str(error) or type(error).__name__, 300, placeholder=" ...")
            raise ConfigurationError(
                f"cannot download {self.name} ({reason}): put {self.name}.npz ({self.expected_arrays}) into {root}, "
                "or set GANMC_DATA to the folder that contains it"
            ) from error


def _make_writable(root: Path) -> None:
    # Checked before the download, which may take an hour.
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"data root {root}: cannot be created ({error.strerror}); set GANMC_DATA") from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise ConfigurationError(f"data root {root}: not writable; grant access or set GANMC_DATA")
