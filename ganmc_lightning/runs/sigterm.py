"""SIGTERM, by which schedulers stop a training: all of its processes stop at one point, behind a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from lightning.pytorch import Trainer


class SigtermWatch:
    """Keeps SIGTERM until a callback asks for it.

    Lightning's own handler ends a validation halfway. On several processes it communicates from within the handler, in
    the middle of whatever they send to one another at that moment, and they then wait for ever.
    """

    def __init__(self) -> None:
        self._received = False

    def start(self) -> None:
        """Take the place of Lightning's handler; Lightning restores the one before when the trainer ends."""
        self._received = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._receive)

    def received(self, trainer: Trainer) -> bool:
        """Whether any process of the training received the signal; all of them must ask at the same point."""
        received = self._received or trainer.received_sigterm  # the latter before the training began
        return trainer.strategy.reduce_boolean_decision(received, all=False)

    @staticmethod
    def stop(trainer: Trainer) -> None:
        """Let Lightning raise ``SIGTERMException`` once the batch or the epoch is logged."""
        trainer._signal_connector.received_sigterm = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = True
