"""Samples per second of adversarial network compression: ``ganmc fit`` against a hand-written loop, in one process."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.distillation import ROUNDS, WARM_UP, StepTimer, _row, _synchronize
from benchmarks.workspace import Workspace, distillation_config, network
from ganmc_lightning.cli import main
from ganmc_lightning.networks import FeatureDiscriminator, LeNet4, load_network

BATCH_SIZE = 128
WIDTHS = (16, 32, 128)  # as many features as the teacher has


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Alternate rounds of both, and compare their medians."""
    count = max(20, steps // 2)
    loop = _loop(workspace)
    times: dict[str, list[float]] = {"fit": [], "loop": []}
    for _ in range(ROUNDS):
        times["loop"].append(loop(count))
        times["fit"].append(_fit(workspace, count))
    speed = {kind: count * BATCH_SIZE / median(values) for kind, values in times.items()}
    name = f"adversarial compression, LeNet-4, 28x28, batch {BATCH_SIZE}"
    return [
        _row(f"ganmc fit, {name}", speed["fit"], "samples/s", None),
        _row(f"plain loop, {name}", speed["loop"], "samples/s", None),
        _row(f"ratio, {name}", speed["fit"] / speed["loop"], "", ">= 0.90"),
    ]


def _fit(workspace: Workspace, steps: int) -> float:
    student = network("LeNet4", widths=list(WIDTHS))
    config: dict[str, Any] = distillation_config(workspace, "fashion_mnist", student, BATCH_SIZE)
    config["data"] = {key: config["data"][key] for key in ("dataset", "batch_size")}
    adam = {"class_path": "torch.optim.Adam"}
    config["model"]["class_path"] = "ganmc_lightning.modules.AdversarialCompressionModule"
    config["model"]["init_args"] |= {
        "discriminator": network("FeatureDiscriminator", in_features=WIDTHS[-1]),
        "student_optimizer": adam,
        "discriminator_optimizer": adam,
    }
    config["trainer"] = {
        "max_steps": WARM_UP + steps,
        "limit_val_batches": 1,
        "callbacks": [{"class_path": "benchmarks.distillation.StepTimer", "init_args": {"steps": steps}}],
    }
    command = workspace.fit("fashion_mnist", "timed_adversarial", config)
    shutil.rmtree(Path(command[command.index("--trainer.default_root_dir") + 1]), ignore_errors=True)
    assert main(command) == 0
    return StepTimer.seconds


def _loop(workspace: Workspace) -> Callable[[int], float]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with np.load(workspace.folder / "data" / "fashion_mnist.npz") as arrays:
        images = torch.from_numpy(arrays["train_images"]).permute(0, 3, 1, 2)
    images = images.clone(memory_format=torch.contiguous_format).to(device)
    teacher: Any = load_network(str(workspace.checkpoint("fashion_mnist", "teacher")), "network").to(device)
    teacher.requires_grad_(False)
    student = LeNet4(widths=WIDTHS).to(device).train()
    discriminator = FeatureDiscriminator(WIDTHS[-1]).to(device)
    student_optimizer = torch.optim.Adam(student.parameters())
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters())

    def step(index: torch.Tensor) -> None:
        inputs = images[index].float().mul_(2 / 255).sub_(1).to(memory_format=torch.channels_last)  # the faster layout
        with torch.no_grad():
            teacher_features = teacher.features(inputs)
            teacher_logits = teacher.classifier(teacher_features)
        features = student.features(inputs)
        logits = student.classifier(features)

        verdicts = discriminator(torch.cat([teacher_features, features.detach()]))
        of_teacher, of_student = verdicts.chunk(2)
        loss = F.softplus(-of_teacher).mean() + F.softplus(of_student).mean() + F.softplus(-of_student).mean()
        discriminator_optimizer.zero_grad()
        loss.backward()
        discriminator_optimizer.step()

        discriminator.requires_grad_(False)
        adversarial = F.softplus(-discriminator(F.dropout(features, 0.5))).mean()
        loss = adversarial + (logits - teacher_logits).square().sum(dim=1).mean()
        student_optimizer.zero_grad()
        loss.backward()
        student_optimizer.step()
        discriminator.requires_grad_(True)

    def run(steps: int) -> float:
        batches = torch.randperm(len(images), device=device).repeat(2).split(BATCH_SIZE)
        for k in range(WARM_UP):
            step(batches[k])
        _synchronize()
        started = time.perf_counter()
        for k in range(steps):
            step(batches[WARM_UP + k])
        _synchronize()
        return time.perf_counter() - started

    return run
