"""Checkpoints that survive a kill and run no code when read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ganmc_lightning.files.atomic import replacing
from ganmc_lightning.networks.checkpoint import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and then replaces it; reads with ``weights_only=True``.

    Lightning's own plugin goes through the system's temporary folder, from where a move to another file system
    is a copy that a kill cuts short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint``; the file of that name stays whole until the new one is."""
        with replacing(Path(path), "wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint onto the CPU.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        return read_checkpoint(str(path))
