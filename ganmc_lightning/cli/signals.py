"""How a command ends when it is interrupted: by Ctrl-C, or by SIGTERM as schedulers and container systems send it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""Exit status after Ctrl-C: 130."""
TERMINATED = 128 + signal.SIGTERM
"""Exit status after SIGTERM: 143."""


class Terminated(SystemExit):
    """SIGTERM, as an exception wherever the main thread is."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Raise :class:`Terminated` on SIGTERM, once, so that what is begun is cleaned up.

    A trainer calls this handler behind its own: it ends the training itself, where that can be resumed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
