"""SIGTERM, by which schedulers and container runtimes stop a command, as an exception."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ganmc_lightning.exceptions import Terminated


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Raise :class:`~ganmc_lightning.exceptions.Terminated` on the first SIGTERM, so that cleanup runs.

    Later SIGTERMs are ignored. Outside the main thread, this does nothing. Handlers installed later, such as a
    trainer's, take precedence.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGTERM) is end:  # else this handler was called by a later one
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
