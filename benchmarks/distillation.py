"""Throughput of distillation with half of each batch from a GAN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.timing import compare, time_fit, time_loop
from benchmarks.workspace import Workspace, distillation_config, network
from ganmc_lightning.networks import LeNet, LeNet4, load_generator, load_network

CASES = [
    ("LeNet-4, 28x28, batch 128", "fashion_mnist", "LeNet4", LeNet4, 128, 1.0),
    ("LeNet-4, 28x28, batch 512", "fashion_mnist", "LeNet4", LeNet4, 512, 0.25),
    ("LeNet, 32x32, batch 128", "cifar10", "LeNet", LeNet, 128, 0.1),
]


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Measure every case with its share of ``steps``."""
    rows = []
    for name, data, class_name, make, batch_size, share in CASES:
        count = max(20, round(steps * share))
        student = network(class_name) if data == "cifar10" else network(class_name, in_channels=1, image_size=28)
        config = distillation_config(workspace, data, student, batch_size)
        step = _make_step(workspace, data, make() if data == "cifar10" else make(1, 28), batch_size)
        fit = partial(time_fit, workspace, data, "timed", config, count)
        rows += compare(name, "samples/s", ">= 0.90", count * batch_size, fit, partial(time_loop, step, count))
    return rows


def _make_step(workspace: Workspace, data: str, student: torch.nn.Module, batch_size: int) -> Callable[[int], None]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with np.load(workspace.folder / "data" / f"{data}.npz") as arrays:
        images = torch.from_numpy(arrays["train_images"]).permute(0, 3, 1, 2).contiguous().to(device)
        labels = torch.from_numpy(arrays["train_labels"]).to(device)
    teacher = load_network(str(workspace.checkpoint(data, "teacher")), "network").to(device).requires_grad_(False)
    generator = load_generator(str(workspace.checkpoint(data, "acgan"))).to(device)
    student = student.to(device).train()
    optimizer = torch.optim.Adam(student.parameters())
    half = batch_size // 2
    batches = torch.randperm(len(labels), device=device).repeat(2).split(batch_size)

    def step(k: int) -> None:
        with torch.no_grad():
            real = images[batches[k][half:]].float().mul_(2 / 255).sub_(1)
            classes = labels[torch.randint(len(labels), (half,), device=device)]
            fake = generator(torch.randn(half, generator.latent_dim, device=device), classes)
            inputs = torch.cat([fake, real]).to(memory_format=torch.channels_last)  # the faster layout
            targets = teacher(inputs)
        loss = (student(inputs) - targets).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
