"""SIGTERM during training: all processes stop at the same step, after saving a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from lightning.pytorch import Trainer


class SigtermHandler:
    """Record SIGTERM until a callback polls for it.

    Lightning's handler stops in the middle of a validation. With several processes, it also communicates inside the
    signal handler, possibly during another collective operation, which then never returns.
    """

    def __init__(self) -> None:
        self._received = False

    def install(self) -> None:
        """Replace Lightning's handler; Lightning restores the original handler at the end of training."""
        self._received = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._receive)

    def received(self, trainer: Trainer) -> bool:
        """Return whether any process received SIGTERM; a collective operation."""
        received = self._received or trainer.received_sigterm  # the latter if it arrived before training
        return trainer.strategy.reduce_boolean_decision(received, all=False)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = True
