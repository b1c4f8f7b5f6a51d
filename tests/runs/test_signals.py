"""SIGTERM sent to this process inside :func:`sigterm_raises`."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ganmc_lightning.exceptions import TERMINATED, Terminated
from ganmc_lightning.runs.signals import sigterm_raises


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def test_raises_once_and_restores_the_handler():
    before = signal.getsignal(signal.SIGTERM)
    reached = []

    def command():
        with sigterm_raises():
            try:
                send()
            finally:
                send()  # cleanup is not interrupted
                reached.append(True)

    with pytest.raises(Terminated) as ended:
        command()
    assert ended.value.code == TERMINATED == 143
    assert reached
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_later_handler_takes_precedence():
    """A trainer installs a handler that calls the previous one."""
    calls = []
    with sigterm_raises():
        inner = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *arguments: (calls.append(1), inner(*arguments)))
        send()
        signal.signal(signal.SIGTERM, inner)
    assert calls == [1]


def test_no_handler_outside_the_main_thread():
    found = []

    def run():
        with sigterm_raises():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
