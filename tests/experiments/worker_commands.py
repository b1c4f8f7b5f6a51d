"""Command lines for worker processes, which import them from this file: its folder must be on ``sys.path``."""

from __future__ import annotations

import signal


def fake(argv: list[str], exit_codes: dict[str, int] | None = None) -> int:
    """Write what `fit` and `test` would, as the fixture `fake` does."""
    from conftest import FakeCommand

    return FakeCommand(exit_codes=exit_codes or {})(argv)


def print_and_fail(argv: list[str]) -> int:
    print("what the stage prints")
    return 1


def kill_worker(argv: list[str]) -> int:
    signal.raise_signal(signal.SIGKILL)
    return 0
