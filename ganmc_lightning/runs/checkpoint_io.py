"""Checkpoints that survive a kill and run no code when read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.networks.loading import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and then replaces it; reads with ``weights_only=True``.

    Lightning's own plugin goes through the system's temporary folder, from where a move to another file system
    is a copy that a kill cuts short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint``; the file of that name stays whole until the new one is.

        Raises:
            ConfigurationError: it cannot be written, for want of room or of access.
        """
        path = Path(path)
        for left_over in path.parent.glob(f".{path.name}.*.part"):  # of a run that was killed while writing
            left_over.unlink(missing_ok=True)
        try:
            with atomic_write(path, "wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch has its own words for a full disk
            reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
            raise ConfigurationError(
                f"cannot write {path} ({reason}): make room or grant access; what was there before is whole"
            ) from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint onto the CPU.

        Raises:
            ConfigurationError: the file is missing, damaged or of another kind.
        """
        return read_checkpoint(str(path))
