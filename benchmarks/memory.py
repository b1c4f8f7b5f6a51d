"""Peak memory of ``ganmc fit`` on a data set of CIFAR-10's size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.workspace import Workspace, distillation_config, network

# getrusage would not do: a process inherits that peak from the one that started it.
STATUS = Path("/proc/self/status")
PROBE = f"""
import sys
from ganmc_lightning.cli import main
status = main(sys.argv[1:])
print(next(line.split()[1] for line in open("{STATUS}") if line.startswith("VmHWM")))
sys.exit(status)
"""


def measure(workspace: Workspace) -> list[dict[str, Any]]:
    """Largest resident set of a whole process, a few steps and a validation pass included; on Linux alone."""
    if not STATUS.is_file():
        return []
    config = distillation_config(workspace, "cifar10", network("LeNet"), 128)
    config["trainer"] = {"max_steps": 5, "limit_val_batches": 2}
    command = workspace.fit("cifar10", "memory", config)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command], check=True, capture_output=True, text=True, cwd=workspace.folder
    )
    peak = float(done.stdout.split()[-1]) / 1024**2
    return [{"name": "ganmc fit, LeNet on cifar10, peak memory", "value": peak, "unit": "GiB", "target": "< 1.5"}]
