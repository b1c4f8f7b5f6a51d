"""Duration of ``ganmc reproduce`` with one and with two processes.

``digits`` is measured as a whole: all students with GAN images wait for the AC-GAN of their seed. Of ``fashion_mnist``,
on random images, only stages without the AC-GAN are measured: the whole experiment takes 45 minutes for both.
"""

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
EXPERIMENTS = ("digits", "fashion_mnist --stages student_alone,real_only,jitter")


def measure(folder: Path) -> list[Row]:
    """Measure each once, one thread per process."""
    if (os.cpu_count() or 1) < 2:
        print("--jobs is not measured: one core")
        return []
    write_data(folder / "jobs" / "data")
    rows = []
    for experiment in EXPERIMENTS:
        one, two = (_run(folder / "jobs", experiment, jobs) for jobs in (1, 2))
        name = f"ganmc reproduce {experiment}"
        rows += [
            row(f"{name} --jobs 1", one, "s"),
            row(f"{name} --jobs 2", two, "s"),
            row(f"{name}: --jobs 2 over --jobs 1", one / two, "x", TARGET),
        ]
    return rows


def _run(folder: Path, experiment: str, jobs: int) -> float:
    shutil.rmtree(folder / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "ganmc_lightning", "reproduce", *experiment.split()]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--jobs", str(jobs), "--out", str(folder / "runs")],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GANMC_DATA": str(folder / "data")},
    )
    return time.perf_counter() - started
