"""Checkpoint files that are written atomically and execute no code when loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ganmc_lightning.io.atomic import atomic_write, write_error
from ganmc_lightning.networks.checkpoints import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints atomically, by renaming a temporary file; load with ``weights_only=True``.

    Lightning's plugin writes to the temporary folder first. Moving a file to another file system is a copy, which is
    incomplete if the process is killed.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint``; an existing file is unchanged until the new one is complete.

        Raises:
            ConfigurationError: the disk is full or the folder is not writable.
        """
        path = Path(path)
        try:
            with atomic_write(path, "wb") as file:
                torch.save(checkpoint, file)
        except RuntimeError as error:  # raised by torch after an OSError, such as of a full disk
            if not isinstance(error.__context__, OSError):
                raise
            raise write_error(path, error.__context__) from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Load a checkpoint onto the CPU.

        Raises:
            ConfigurationError: the file does not exist, is damaged or is not a checkpoint.
        """
        return read_checkpoint(str(path))
