"""Duration of ``ganmc --help`` and of ``ganmc fit`` with one step."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Any

from benchmarks.workspace import Workspace, distillation_config, network

REPEATS = 5
IMPORT = "import torch"
FLOOR = "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)])"


def measure(workspace: Workspace) -> list[dict[str, Any]]:
    """Return medians over processes."""
    config = distillation_config(workspace, "fashion_mnist", network("LeNet4", in_channels=1, image_size=28), 128)
    config["trainer"] = {"max_steps": 1, "limit_val_batches": 0}
    first_step = workspace.fit("fashion_mnist", "first_step", config)
    commands = [("ganmc --help", ["--help"], "< 2"), ("ganmc fit, one step from start to end", first_step, "< 6")]
    rows = []
    for name, arguments, target in commands:
        seconds = [_seconds(arguments, workspace, k) for k in range(REPEATS)]
        rows.append({"name": name, "value": median(seconds), "unit": "s", "target": target})
    for name, code in (("of which torch and one optimizer", FLOOR), ("of which torch", IMPORT)):
        seconds = [_seconds_of([sys.executable, "-c", code], workspace) for _ in range(REPEATS)]
        rows.append({"name": name, "value": median(seconds), "unit": "s", "target": None})
    ratio = rows[1]["value"] / rows[-1]["value"]
    rows.append({"name": "ganmc fit, one step / torch", "value": ratio, "unit": "x", "target": "< 2.4"})
    return rows


def _seconds(arguments: list[str], workspace: Workspace, k: int) -> float:
    command = [argument.replace("first_step", f"first_step_{k}") for argument in arguments[3:]]
    return _seconds_of([sys.executable, "-m", "ganmc_lightning", *arguments[:3], *command], workspace)


def _seconds_of(command: list[str], workspace: Workspace) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=workspace.folder)
    return time.perf_counter() - started
