"""Signals that stop a training, recorded until a callback polls for them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ganmc_lightning.runs.stop_signals import StopSignalHandler

TRAINER: Any = SimpleNamespace(
    received_sigterm=False, strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, **_: decision)
)


@pytest.fixture(autouse=True)
def _restore_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "exception"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)]
)
def test_a_signal_is_recorded(number: int, exception: type[BaseException]) -> None:
    handler = StopSignalHandler()
    handler.install()
    assert not handler.received(TRAINER)
    os.kill(os.getpid(), number)
    assert handler.received(TRAINER)
    assert type(handler.exception()) is exception
    handler.install()  # of the next training
    assert not handler.received(TRAINER)


def test_a_second_ctrl_c_stops_immediately() -> None:
    StopSignalHandler().install()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    StopSignalHandler().install()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
