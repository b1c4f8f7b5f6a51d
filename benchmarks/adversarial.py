"""Throughput of adversarial network compression."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.timing import compare, time_fit, time_loop
from benchmarks.workspace import Workspace, distillation_config, network
from ganmc_lightning.networks import FeatureDiscriminator, LeNet4, load_network

BATCH_SIZE = 128
WIDTHS = (16, 32, 128)  # as many features as the teacher, so that no projection is needed


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Measure one student."""
    count = max(20, steps // 2)
    config: dict[str, Any] = distillation_config(
        workspace, "fashion_mnist", network("LeNet4", widths=list(WIDTHS)), BATCH_SIZE
    )
    config["data"] = {key: config["data"][key] for key in ("dataset", "batch_size")}
    adam = {"class_path": "torch.optim.Adam"}
    config["model"]["class_path"] = "ganmc_lightning.modules.AdversarialCompressionModule"
    config["model"]["init_args"] |= {
        "discriminator": network("FeatureDiscriminator", in_features=WIDTHS[-1]),
        "student_optimizer": adam,
        "discriminator_optimizer": adam,
    }
    name = f"adversarial compression, LeNet-4, 28x28, batch {BATCH_SIZE}"
    fit = partial(time_fit, workspace, "fashion_mnist", "timed_adversarial", config, count)
    loop = partial(time_loop, _make_step(workspace), count)
    return compare(name, "samples/s", ">= 0.90", count * BATCH_SIZE, fit, loop)


def _make_step(workspace: Workspace) -> Callable[[int], None]:
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
    batches = torch.randperm(len(images), device=device).repeat(2).split(BATCH_SIZE)

    def step(k: int) -> None:
        # channels_last is the faster layout
        inputs = images[batches[k]].float().mul_(2 / 255).sub_(1).to(memory_format=torch.channels_last)
        with torch.no_grad():
            teacher_features = teacher.features(inputs)
            teacher_logits = teacher.classifier(teacher_features)
        features = student.features(inputs)
        logits = student.classifier(features)

        d_logits = discriminator(torch.cat([teacher_features, features.detach()]))
        of_teacher, of_student = d_logits.chunk(2)
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

    return step
