"""Duration of ``ganmc reproduce digits`` with one and with two processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.rows import Row, row

TARGET = ">= 1.7"


def measure(folder: Path) -> list[Row]:
    """Measure both once, one thread per process."""
    if (os.cpu_count() or 1) < 2:
        print("--jobs is not measured: one core")
        return []
    one, two = (_run(folder / "jobs", jobs) for jobs in (1, 2))
    return [
        row("ganmc reproduce digits --jobs 1", one, "s"),
        row("ganmc reproduce digits --jobs 2", two, "s"),
        row("ganmc reproduce digits: --jobs 2 over --jobs 1", one / two, "x", TARGET),
    ]


def _run(out: Path, jobs: int) -> float:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "ganmc_lightning", "reproduce", "digits", "--jobs", str(jobs)]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--out", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return time.perf_counter() - started
