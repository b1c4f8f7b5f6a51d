"""Hand-written steps of adversarial compression, the AC-GAN and generator compression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from batches import device_batches, loader_batches
from objects import DEVICE, autocast, build_frozen, build_network, build_optimizer, load_images
from torch import Tensor, nn
from torch.nn.utils import parametrize

Step = Callable[[], object]


def _real(config: dict[str, Any], run: dict[str, Any]) -> Any:
    images, labels = load_images(run["data"], run["train_size"])
    batches = loader_batches if run["usual"] else device_batches
    return batches(images, labels, config["data"]["batch_size"], config["data"].get("augment"))


def _layout(images: Tensor, run: dict[str, Any]) -> Tensor:
    return images if run["usual"] else images.to(memory_format=torch.channels_last)


class Average:
    """Moving average of the weights of a generator."""

    def __init__(self, config: dict[str, Any], network: nn.Module, usual: bool) -> None:
        callbacks = [item for item in config["trainer"].get("callbacks", []) if isinstance(item, dict)]
        (ema,) = (item for item in callbacks if item["class_path"].endswith("GeneratorEMA"))
        self.decay = ema["init_args"].get("decay", 0.999)
        self.current = [value for value in network.state_dict().values() if value.is_floating_point()]
        self.values = [value.clone() for value in self.current]
        self.usual = usual

    @torch.no_grad()
    def update(self) -> None:
        if self.usual:
            for average, value in zip(self.values, self.current, strict=True):
                average.mul_(self.decay).add_(value, alpha=1 - self.decay)
        else:
            torch._foreach_lerp_(self.values, self.current, 1 - self.decay)


def anc_step(config: dict[str, Any], run: dict[str, Any]) -> Step:
    """Return a step of adversarial network compression with inverted labels."""
    model = config["model"]["init_args"]
    teacher: Any = build_frozen(model["teacher"])
    student: Any = build_network(model["student"]).train()
    discriminator = build_network(model["discriminator"]).train()
    student_optimizer = build_optimizer(model["student_optimizer"], student)
    discriminator_optimizer = build_optimizer(model["discriminator_optimizer"], discriminator)
    real = _real(config, run)

    def step() -> float | None:
        inputs = _layout(next(real)[0], run)
        with autocast(run["precision"]):
            with torch.no_grad():
                teacher_features = teacher.features(inputs)
                teacher_logits = teacher.classifier(teacher_features)
            features = student.features(inputs)
            logits = student.classifier(features)
            scores = discriminator(torch.cat([teacher_features, features.detach()])).float()
        of_teacher, of_student = scores.chunk(2)
        loss = F.softplus(-of_teacher).mean() + F.softplus(of_student).mean() + F.softplus(-of_student).mean()
        discriminator_optimizer.zero_grad()
        loss.backward()
        discriminator_optimizer.step()

        discriminator.requires_grad_(False)
        with autocast(run["precision"]):
            adversarial = F.softplus(-discriminator(F.dropout(features, model["dropout"])).float()).mean()
        loss = adversarial + (logits.float() - teacher_logits.float()).square().sum(dim=1).mean()
        student_optimizer.zero_grad()
        loss.backward()
        student_optimizer.step()
        discriminator.requires_grad_(True)
        return loss.item() if run["usual"] else None

    return step


def acgan_step(config: dict[str, Any], run: dict[str, Any]) -> Step:
    """Return a step of the AC-GAN with the hinge loss."""
    model = config["model"]["init_args"]
    generator: Any = build_network(model["generator"]).train()
    discriminator: Any = build_network(model["discriminator"]).train()
    generator_optimizer = build_optimizer(model["generator_optimizer"], generator)
    discriminator_optimizer = build_optimizer(model["discriminator_optimizer"], discriminator)
    average = Average(config, generator, run["usual"])
    real = _real(config, run)

    def both(inputs: Tensor, fakes: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        if run["usual"]:
            return discriminator(inputs), discriminator(fakes)
        with parametrize.cached():  # one spectral normalization for both passes
            return discriminator(inputs), discriminator(fakes)

    def step() -> float | None:
        inputs, labels, _ = next(real)
        inputs = _layout(inputs, run)
        fake_labels = labels[torch.randperm(len(labels), device=DEVICE)]
        with autocast(run["precision"]):
            fakes = generator(generator.sample_latents(len(labels), DEVICE), fake_labels)
            (source, classes), (fake_source, _) = both(inputs, fakes.detach())
        loss = F.relu(1 - source.float()).mean() + F.relu(1 + fake_source.float()).mean()
        loss = loss + F.cross_entropy(classes.float(), labels)
        discriminator_optimizer.zero_grad()
        loss.backward()
        discriminator_optimizer.step()

        discriminator.requires_grad_(False)
        with autocast(run["precision"]):
            fake_source, classes = discriminator(fakes)
        loss = F.cross_entropy(classes.float(), fake_labels) - fake_source.float().mean()
        generator_optimizer.zero_grad()
        loss.backward()
        generator_optimizer.step()
        discriminator.requires_grad_(True)
        average.update()
        return loss.item() if run["usual"] else None

    return step


def generator_step(config: dict[str, Any], run: dict[str, Any]) -> Step:
    """Return a step of generator compression with the pixel MSE."""
    model = config["model"]["init_args"]
    teacher = build_frozen(model["teacher"])
    student: Any = build_network(model["student"]).train()
    optimizer = build_optimizer(model["optimizer"], student)
    average = Average(config, student, run["usual"])
    batch_size = config["data"]["batch_size"]

    def step() -> float | None:
        latents = student.sample_latents(batch_size, DEVICE)
        with autocast(run["precision"]):
            with torch.no_grad():
                target = teacher(latents)
            images = student(latents)
        loss = F.mse_loss(images.float(), target.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update()
        return loss.item() if run["usual"] else None

    return step
