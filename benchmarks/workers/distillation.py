"""Hand-written steps of distillation on real and generated images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from batches import device_batches, loader_batches
from objects import DEVICE, autocast, build_frozen, build_network, build_optimizer, load_images, to_float
from torch import Tensor, nn

POOL = 4096  # images of the stand-in pool

Step = Callable[[], object]


class Generated:
    """Draw labels and images of a conditional generator."""

    def __init__(self, synthesizer: dict[str, Any], precision: str) -> None:
        while "synthesizer" in synthesizer["init_args"]:  # the generator within a pool
            synthesizer = synthesizer["init_args"]["synthesizer"]
        self.generator: Any = build_frozen(synthesizer["init_args"]["generator"])
        self.precision = precision

    @torch.no_grad()
    def __call__(self, n: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(self.generator.num_classes, (n,), device=DEVICE)
        with autocast(self.precision):
            return self.generator(self.generator.sample_latents(n, DEVICE), labels).float(), labels


def distillation_loss(config: dict[str, Any] | str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the loss of a configuration, written in PyTorch: squared distance of logits, or distillation."""
    if not isinstance(config, dict):
        return lambda student, teacher, labels: (student - teacher).square().sum(dim=1).mean()
    arguments = config["init_args"]
    temperature, alpha = arguments["temperature"], arguments["alpha"]

    def loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        soft = F.cross_entropy(student / temperature, F.softmax(teacher / temperature, dim=1))
        return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels)

    return loss


def student_of(model: dict[str, Any]) -> tuple[nn.Module, torch.optim.Optimizer]:
    student = build_network(model["student"]).train()
    return student, build_optimizer(model["optimizer"], student)


def cached_step(config: dict[str, Any], run: dict[str, Any]) -> Step:
    """Return a step with a pool and cached logits; their values, which do not change the speed, are random."""
    model, data = config["model"]["init_args"], config["data"]
    student, optimizer = student_of(model)
    loss_function = distillation_loss(model["loss"])
    images, labels = load_images(run["data"], run["train_size"])
    batch_size = data["batch_size"]
    count = round(data["p_fake"] * batch_size)
    real = device_batches(images, labels, batch_size, None, synthetic=count)
    logits = torch.randn(len(labels), run["classes"], device=DEVICE)
    pool = torch.randint(256, (POOL, *images.shape[3:], *images.shape[1:3]), dtype=torch.uint8, device=DEVICE)
    pool_labels = torch.randint(run["classes"], (POOL,), device=DEVICE)
    pool_logits = torch.randn(POOL, run["classes"], device=DEVICE)

    def step() -> None:
        inputs, classes, index = next(real)
        targets = logits[index]
        if count > 0:
            chosen = torch.randint(POOL, (count,), device=DEVICE)
            inputs = torch.cat([to_float(pool[chosen]), inputs])
            classes = torch.cat([pool_labels[chosen], classes])
            targets = torch.cat([pool_logits[chosen], targets])
        with autocast(run["precision"]):
            outputs = student(inputs.to(memory_format=torch.channels_last))  # the faster layout
        loss = loss_function(outputs.float(), targets, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def usual_step(config: dict[str, Any], run: dict[str, Any]) -> Step:
    """Return a step that generates images and runs the teacher on the whole batch."""
    model, data = config["model"]["init_args"], config["data"]
    student, optimizer = student_of(model)
    teacher = build_frozen(model["teacher"])
    loss_function = distillation_loss(model["loss"])
    count = round(data["p_fake"] * data["batch_size"])
    generate = Generated(data["synthesizer"], run["precision"]) if count > 0 else None
    images, labels = load_images(run["data"], run["train_size"])
    real = loader_batches(images, labels, data["batch_size"] - count, None) if count < data["batch_size"] else None

    def step() -> float:
        parts = [] if generate is None else [generate(count)]
        if real is not None:
            parts.append(next(real)[:2])
        inputs, classes = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        with autocast(run["precision"]):
            with torch.no_grad():
                targets = teacher(inputs)
            outputs = student(inputs)
        loss = loss_function(outputs.float(), targets.float(), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
