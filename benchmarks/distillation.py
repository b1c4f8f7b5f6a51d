"""Samples per second of the distillation step: ``ganmc fit`` against a hand-written loop, in one process."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback

from benchmarks.workspace import Workspace, distillation_config, network
from ganmc_lightning.cli import main
from ganmc_lightning.networks import LeNet, LeNet4, load_generator, load_network

WARM_UP = 20
ROUNDS = 5
CASES = [
    ("LeNet-4, 28x28, batch 128", "fashion_mnist", "LeNet4", LeNet4, 128, 1.0),
    ("LeNet-4, 28x28, batch 512", "fashion_mnist", "LeNet4", LeNet4, 512, 0.25),
    ("LeNet, 32x32, batch 128", "cifar10", "LeNet", LeNet, 128, 0.1),
]


class StepTimer(Callback):
    """Times the steps after the warm-up; the last result is kept on the class, for the runs share a process."""

    seconds = 0.0

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == WARM_UP:
            _synchronize()
            self.started = time.perf_counter()
        if trainer.global_step == WARM_UP + self.steps:
            _synchronize()
            StepTimer.seconds = time.perf_counter() - self.started


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Alternate rounds of both, and compare their medians."""
    rows = []
    for name, data, class_name, make, batch_size, share in CASES:
        count = max(20, round(steps * share))
        student = network(class_name) if data == "cifar10" else network(class_name, in_channels=1, image_size=28)
        loop = _loop(workspace, data, make() if data == "cifar10" else make(1, 28), batch_size)
        times: dict[str, list[float]] = {"fit": [], "loop": []}
        for _ in range(ROUNDS):
            times["loop"].append(loop(count))
            times["fit"].append(_fit(workspace, data, student, batch_size, count))
        speed = {kind: count * batch_size / median(values) for kind, values in times.items()}
        rows.append(_row(f"ganmc fit, {name}", speed["fit"], "samples/s", None))
        rows.append(_row(f"plain loop, {name}", speed["loop"], "samples/s", None))
        rows.append(_row(f"ratio, {name}", speed["fit"] / speed["loop"], "", ">= 0.90"))
    return rows


def _fit(workspace: Workspace, data: str, student: dict[str, object], batch_size: int, steps: int) -> float:
    config = distillation_config(workspace, data, student, batch_size)
    config["trainer"] = {
        "max_steps": WARM_UP + steps,
        "limit_val_batches": 1,
        "callbacks": [{"class_path": "benchmarks.distillation.StepTimer", "init_args": {"steps": steps}}],
    }
    command = workspace.fit(data, "timed", config)
    out = Path(command[command.index("--trainer.default_root_dir") + 1])
    shutil.rmtree(out, ignore_errors=True)
    assert main(command) == 0
    return StepTimer.seconds


def _loop(workspace: Workspace, data: str, student: torch.nn.Module, batch_size: int) -> Callable[[int], float]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with np.load(workspace.folder / "data" / f"{data}.npz") as arrays:
        images = torch.from_numpy(arrays["train_images"]).permute(0, 3, 1, 2).contiguous().to(device)
        labels = torch.from_numpy(arrays["train_labels"]).to(device)
    teacher = load_network(str(workspace.checkpoint(data, "teacher")), "network").to(device).requires_grad_(False)
    generator = load_generator(str(workspace.checkpoint(data, "acgan"))).to(device)
    student = student.to(device).train()
    optimizer = torch.optim.Adam(student.parameters())
    half = batch_size // 2

    def step(index: torch.Tensor) -> None:
        with torch.no_grad():
            real = images[index[half:]].float().mul_(2 / 255).sub_(1)
            classes = labels[torch.randint(len(labels), (half,), device=device)]
            fakes = generator(torch.randn(half, generator.latent_size, device=device), classes)
            inputs = torch.cat([fakes, real]).to(memory_format=torch.channels_last)  # the faster layout
            targets = teacher(inputs)
        loss = (student(inputs) - targets).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def run(steps: int) -> float:
        order = torch.randperm(len(labels), device=device).repeat(2)
        batches = order.split(batch_size)
        for k in range(WARM_UP):
            step(batches[k])
        _synchronize()
        started = time.perf_counter()
        for k in range(steps):
            step(batches[WARM_UP + k])
        _synchronize()
        return time.perf_counter() - started

    return run


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _row(name: str, value: float, unit: str, target: str | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}
