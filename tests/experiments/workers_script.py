"""Runs two stages in two workers; started by test_workers.py, which interrupts it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ganmc_lightning.exceptions import Terminated
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.workers import run_in_workers
from ganmc_lightning.runs.signals import sigterm_raises


def train(words: list[str]) -> int:
    """A stage that says which process it is in, waits, and saves something when it is interrupted."""
    folder = Path(words[1])
    (folder / "process").write_text(str(os.getpid()))
    try:
        time.sleep(300)
    except Terminated:
        (folder / "saved").touch()
        raise
    return 0


if __name__ == "__main__":
    out = Path(sys.argv[1])
    folders = [out / name for name in ("a", "b")]
    runs = [PlannedRun(f.name, 0, f, f.name, {}, ("forest", str(f)), None) for f in folders]
    with sigterm_raises():
        sys.exit(run_in_workers(runs, 2, train, lambda run: None, lambda run, outcome, before: None))
