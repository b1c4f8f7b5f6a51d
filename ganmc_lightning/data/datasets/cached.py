"""Sources that fetch their data once and keep them as one ``.npz`` file under the data root."""

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


class CachedDataset(DatasetSource):
    """A source kept as ``<name>.npz``: a file that is there is used as it is, and nothing is downloaded.

    Attributes:
        arrays: the arrays the file must hold, for the message of a failed download.
        class_names: names of the classes, for a file that does not name them itself.
    """

    arrays: str
    class_names: tuple[str, ...] = ()

    @abstractmethod
    def fetch(self, root: Path) -> Mapping[str, NDArray[Any] | ChunkedArray]:
        """Return the arrays to store; a downloader may leave its own files under ``root``.

        Raises:
            Exception: whatever the downloader raises.
        """

    def file(self, root: Path) -> Path:
        """Return the file of this source under the data root."""
        return root / f"{self.name}.npz"

    def prepare(self, root: Path) -> None:
        """Fetch the data and write the file, unless it is there.

        Raises:
            ConfigurationError: the root cannot be written to, or the data cannot be fetched.
        """
        if self.file(root).exists():
            return
        _make_writable(root)
        with self._download_reported(root):
            arrays = self.fetch(root)
        write_npz(self.file(root), arrays)

    def load(self, root: Path) -> DatasetSplits:
        """Read and check the file.

        Raises:
            ConfigurationError: the file is missing or cannot be used.
        """
        return read_splits(self.file(root), self.class_names)

    @contextmanager
    def _download_reported(self, root: Path) -> Iterator[None]:
        try:
            yield
        except ConfigurationError:
            raise
        # Whatever goes wrong in a downloader of others (network, archive, checksum, a package it wants),
        # the fix is the same: another copy of the data.
        except Exception as error:
            reason = textwrap.shorten(str(error) or type(error).__name__, 300, placeholder=" ...")
            raise ConfigurationError(
                f"cannot download {self.name} ({reason}): put {self.name}.npz ({self.arrays}) into {root}, "
                "or set GANMC_DATA to the folder that has it"
            ) from error


def _make_writable(root: Path) -> None:
    # Asked before the download, which may take an hour.
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"data root {root} cannot be made ({error.strerror}): set GANMC_DATA") from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise ConfigurationError(f"data root {root} cannot be written to: grant access, or set GANMC_DATA")
