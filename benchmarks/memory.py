"""Peak memory of ``ganmc fit`` on a data set of CIFAR-10's size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.workspace import Workspace, distillation_config, network

# /proc, not getrusage: a process inherits the peak of its parent.
STATUS = Path("/proc/self/status")
PROBE = f"""
import sys
from ganmc_lightning.cli import main
status = main(sys.argv[1:])
print(next(line.split()[1] for line in open("{STATUS}") if line.startswith("VmHWM")))
sys.exit(status)
"""


def read_peak() -> float | None:
    """Return the largest resident set of this process in GiB, or None on systems without ``/proc``."""
    if not STATUS.is_file():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024**2


def measure(workspace: Workspace) -> list[dict[str, Any]]:
    """Measure a few steps and a validation pass."""
    config = distillation_config(workspace, "cifar10", network("LeNet"), 128)
    config["trainer"] = {"max_steps": 5, "limit_val_batches": 2}
    peak = measure_peak(workspace, workspace.fit("cifar10", "memory", config))
    name = "ganmc fit, LeNet on cifar10, peak memory"
    return [] if peak is None else [{"name": name, "value": peak, "unit": "GiB", "target": "< 1.5"}]


def measure_peak(workspace: Workspace, command: list[str]) -> float | None:
    """Return the largest resident set of a ``ganmc`` process in GiB, or None on systems without ``/proc``."""
    if not STATUS.is_file():
        return None
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command], check=True, capture_output=True, text=True, cwd=workspace.folder
    )
    return float(done.stdout.split()[-1]) / 1024**2
