"""Duration of stages of ``ganmc reproduce fashion_mnist`` with one and with two processes, on random images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.rows import Row, row
from benchmarks.shipped import write_data

TARGET = ">= 1.7"
STAGES = "student_alone,real_only,jitter"
"""Stages without the AC-GAN; with their teachers, 12 runs."""


def measure(folder: Path) -> list[Row]:
    """Measure both once, one thread per process."""
    if (os.cpu_count() or 1) < 2:
        print("--jobs is not measured: one core")
        return []
    write_data(folder / "jobs" / "data")
    one, two = (_run(folder / "jobs", jobs) for jobs in (1, 2))
    name = f"ganmc reproduce fashion_mnist --stages {STAGES}"
    return [
        row(f"{name} --jobs 1", one, "s"),
        row(f"{name} --jobs 2", two, "s"),
        row(f"{name}: --jobs 2 over --jobs 1", one / two, "x", TARGET),
    ]


def _run(folder: Path, jobs: int) -> float:
    shutil.rmtree(folder / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "ganmc_lightning", "reproduce", "fashion_mnist", "--stages", STAGES]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--jobs", str(jobs), "--out", str(folder / "runs")],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GANMC_DATA": str(folder / "data")},
    )
    return time.perf_counter() - started
