"""Duration of ``ganmc reproduce digits --quick`` with one and with two processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.rows import Row, row

TARGET = ">= 1.7"


def measure(folder: Path, rounds: int) -> list[Row]:
    """Alternate both, one thread per process."""
    if (os.cpu_count() or 1) < 2:
        print("--jobs is not measured: one core")
        return []
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for jobs, values in seconds.items():
            values.append(_run(folder / "jobs", jobs))
    one, two = (median(values) for values in seconds.values())
    best = min(seconds[1]) / min(seconds[2])
    return [
        row("ganmc reproduce digits --quick --jobs 1", one, "s", None),
        row("ganmc reproduce digits --quick --jobs 2", two, "s", None),
        row("ganmc reproduce digits --quick: --jobs 2 over --jobs 1", one / two, "x", TARGET, best=best),
    ]


def _run(out: Path, jobs: int) -> float:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "ganmc_lightning", "reproduce", "digits", "--quick", "--jobs", str(jobs)]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--out", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return time.perf_counter() - started
