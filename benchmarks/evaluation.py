"""Duration of ``ganmc evaluate``: 10,000 generated images and a data set of Fashion-MNIST's size."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.workspace import Workspace

SAMPLES = 10_000


def measure(workspace: Workspace) -> list[dict[str, Any]]:
    """Measure one process with an empty cache, and one with cached statistics of the real samples."""
    command = [
        *(sys.executable, "-m", "ganmc_lightning", "evaluate", str(workspace.checkpoint("fashion_mnist", "acgan"))),
        *("--data", "fashion_mnist", "--num-samples", str(SAMPLES)),
        *("--extractor", f"classifier:{workspace.checkpoint('fashion_mnist', 'teacher')}"),
    ]
    rows = []
    for kind in ("first time", "with kept statistics"):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=workspace.folder)
        seconds = time.perf_counter() - started
        rows.append({"name": f"ganmc evaluate, 10k images, {kind}", "value": seconds, "unit": "s", "target": "< 60"})
    return rows
