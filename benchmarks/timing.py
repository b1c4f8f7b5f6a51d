"""Throughput of ``ganmc fit`` compared with a hand-written training loop in one process."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback

from benchmarks.workspace import Workspace
from ganmc_lightning.cli import main

WARM_UP = 20
ROUNDS = 5


class StepTimer(Callback):
    """Measure the seconds of ``steps`` steps after the warm-up; stored on the class, because runs share a process."""

    seconds = 0.0

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == WARM_UP:
            synchronize()
            self.started = time.perf_counter()
        if trainer.global_step == WARM_UP + self.steps:
            synchronize()
            StepTimer.seconds = time.perf_counter() - self.started


def compare(
    name: str,
    unit: str,
    target: str,
    samples: int,
    fit: Callable[[], float],
    loop: Callable[[], float],
) -> list[dict[str, Any]]:
    """Alternate rounds of both; return throughputs and their ratio, from median seconds of ``samples`` samples."""
    seconds: dict[str, list[float]] = {"fit": [], "loop": []}
    for _ in range(ROUNDS):
        seconds["loop"].append(loop())
        seconds["fit"].append(fit())
    speed = {kind: samples / median(values) for kind, values in seconds.items()}
    return [
        row(f"ganmc fit, {name}", speed["fit"], unit, None),
        row(f"plain loop, {name}", speed["loop"], unit, None),
        row(f"ratio, {name}", speed["fit"] / speed["loop"], "", target),
    ]


def time_fit(workspace: Workspace, data: str, stage: str, config: dict[str, Any], steps: int) -> float:
    """Return the seconds of ``steps`` steps of ``ganmc fit``."""
    timer = {"class_path": "benchmarks.timing.StepTimer", "init_args": {"steps": steps}}
    config["trainer"] = {"max_steps": WARM_UP + steps, "limit_val_batches": 1, "callbacks": [timer]}
    run_fresh(workspace, data, stage, config)
    return StepTimer.seconds


def time_loop(step: Callable[[int], None], steps: int) -> float:
    """Return the seconds of ``steps`` calls of ``step`` after the warm-up."""
    for k in range(WARM_UP):
        step(k)
    synchronize()
    started = time.perf_counter()
    for k in range(steps):
        step(WARM_UP + k)
    synchronize()
    return time.perf_counter() - started


def run_fresh(workspace: Workspace, data: str, stage: str, config: dict[str, Any]) -> None:
    """Run ``ganmc fit`` in an empty run folder."""
    command = workspace.fit(data, stage, config)
    shutil.rmtree(Path(command[command.index("--trainer.default_root_dir") + 1]), ignore_errors=True)
    assert main(command) == 0


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def row(name: str, value: float, unit: str, target: str | None) -> dict[str, Any]:
    """Return one result."""
    return {"name": name, "value": value, "unit": unit, "target": target}
