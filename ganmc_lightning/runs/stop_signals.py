"""Ctrl-C and SIGTERM during training: all processes stop at the same step, after saving a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException


class StopSignalHandler:
    """Record SIGINT and SIGTERM until a callback polls for them.

    Lightning's handlers lose the current epoch (SIGINT), or stop in the middle of a validation (SIGTERM). With several
    processes, Lightning also communicates inside the signal handler, possibly during another collective operation,
    which then never returns. A second SIGINT raises ``KeyboardInterrupt`` immediately.
    """

    def __init__(self) -> None:
        self._received: int | None = None

    def install(self) -> None:
        """Replace the handlers; Lightning restores them at the end of training."""
        self._received = None
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(signal.SIGTERM, self._receive)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in workers, and in background jobs of a shell
            signal.signal(signal.SIGINT, self._receive)

    def received(self, trainer: Trainer) -> bool:
        """Return whether any process received a signal; a collective operation."""
        received = self._received is not None or trainer.received_sigterm  # the latter if it arrived before training
        return trainer.strategy.reduce_boolean_decision(received, all=False)

    def exception(self) -> BaseException:
        """Return the exception that stops the training."""
        return KeyboardInterrupt() if self._received == signal.SIGINT else SIGTERMException()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == self._received == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number
