"""Time of a training step in bf16-mixed and in float32, for networks and batches of shipped configurations.

python -m benchmarks.precision

Every step is a hand-written one of the same mathematics as ``ganmc fit``; rounds of both precisions alternate. The time
is that of the processor on a CPU, so that other processes change it little. The results are written to
``benchmarks/results/precision/<device>.json``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import mobilenet_v3_small

from ganmc_lightning.experiments.environment import describe_environment
from ganmc_lightning.networks import (
    NIN,
    ACGANDiscriminator,
    ACGANGenerator,
    DCGANGenerator,
    FiveLayerCNN,
    LeNet,
    LeNet4,
    MLPClassifier,
    ResNet18,
    TabularDiscriminator,
    TabularGenerator,
)

RESULTS = Path(__file__).parent / "results" / "precision"
ROUNDS = 5
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Step = Callable[[bool], None]
"""Function that trains one step, under autocast to bfloat16 if its argument is true."""


def cases() -> dict[str, tuple[Callable[[], Step], int]]:
    """Return case -> function that builds its networks, and steps per round."""
    small = {"image_size": 28, "channels": 1}
    return {
        "digits: CNN to MLP, batch 64": (
            lambda: distillation(
                FiveLayerCNN(1, 8, 10, (32, 64, 64, 128), batch_norm=True),
                MLPClassifier(64, 10, (64,)),
                ACGANGenerator(8, 1, latent_dim=32, width=16),
                64,
                0.5,
            ),
            40,
        ),
        "magic: AC-GAN of rows, batch 512": (
            lambda: acgan(
                TabularGenerator(10, hidden=(128, 128, 128), skip_connections=True, output_noise_std=0.2),
                TabularDiscriminator(10, hidden=(256, 256, 256)),
                512,
            ),
            20,
        ),
        "fashion_mnist: CNN to LeNet-4, batch 64": (
            lambda: distillation(
                FiveLayerCNN(1, 28, 10, (16, 32, 64, 128), batch_norm=True),
                LeNet4(widths=(8, 16, 64)),
                ACGANGenerator(**small, latent_dim=64, width=16),
                64,
                0.5,
            ),
            16,
        ),
        "fashion_mnist: AC-GAN, batch 64": (
            lambda: acgan(
                ACGANGenerator(**small, latent_dim=64, width=16),
                ACGANDiscriminator(28, 1, width=8, normalization="spectral", dropout=0.0),
                64,
            ),
            4,
        ),
        "fashion_mnist: DCGAN of width 32 to 4, MSE, batch 64": (
            lambda: compression(DCGANGenerator(**small, width=32), DCGANGenerator(**small, width=4), 64),
            16,
        ),
        "cifar10: NIN to LeNet, batch 256": (lambda: distillation(NIN(), LeNet(), ACGANGenerator(), 256, 0.8), 1),
        "cifar10: ResNet-18 to CNN, batch 64": (
            lambda: distillation(ResNet18(), FiveLayerCNN(), ACGANGenerator(), 64, 0.2),
            1,
        ),
        "cifar10: MobileNetV3-Small on labels, batch 64": (
            lambda: supervised(mobilenet_v3_small(num_classes=10), 64),
            4,
        ),
        "cifar10: ResNet-18 to MobileNetV3-Small, batch 64": (
            lambda: distillation(ResNet18(), mobilenet_v3_small(num_classes=10), ACGANGenerator(), 64, 0.2),
            2,
        ),
        "cifar10: AC-GAN, batch 64": (
            lambda: acgan(ACGANGenerator(), ACGANDiscriminator(width=32, normalization="spectral", dropout=0.0), 64),
            1,
        ),
        "cifar10: DCGAN of width 64 to 16, MSE, 64 pixels, batch 64": (
            lambda: compression(DCGANGenerator(64, 3, width=64), DCGANGenerator(64, 3, width=16), 64),
            2,
        ),
    }


def distillation(teacher: nn.Module, student: nn.Module, generator: Any, batch_size: int, p_fake: float) -> Step:
    """Return a step of distillation with the L2 loss on logits."""
    for network in (teacher, generator):
        network.to(DEVICE).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(student.to(DEVICE).parameters())
    count = round(p_fake * batch_size)
    real = torch.randn(batch_size - count, *generator.sample_shape, device=DEVICE)

    def step(mixed: bool) -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
            with torch.no_grad():
                fake = generator(*random_latents(generator, count))
                inputs = torch.cat([fake.float(), real]).to(memory_format=torch.channels_last)
                target = teacher(inputs)
            logits = student(inputs)
        update(optimizer, (logits.float() - target.float()).square().sum(dim=1).mean())

    return step


def supervised(network: nn.Module, batch_size: int) -> Step:
    """Return a step of training on labels, of images with 32 x 32 pixels."""
    optimizer = torch.optim.Adam(network.to(DEVICE).parameters())
    inputs = torch.randn(batch_size, 3, 32, 32, device=DEVICE).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,), device=DEVICE)

    def step(mixed: bool) -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
            logits = network(inputs)
        update(optimizer, F.cross_entropy(logits.float(), labels))

    return step


def acgan(generator: Any, discriminator: nn.Module, batch_size: int) -> Step:
    """Return a step of an AC-GAN: both networks, non-saturating loss."""
    networks = (generator.to(DEVICE), discriminator.to(DEVICE))
    optimizers = [torch.optim.Adam(network.parameters()) for network in networks]
    real = torch.randn(batch_size, *generator.sample_shape, device=DEVICE)

    def step(mixed: bool) -> None:
        latents, labels = random_latents(generator, batch_size)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
            fake = generator(latents, labels)
            source, classes = discriminator(real)
            fake_source, _ = discriminator(fake.detach())
        loss = F.softplus(-source.float()).mean() + F.softplus(fake_source.float()).mean()
        update(optimizers[1], loss + F.cross_entropy(classes.float(), labels))
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
            source, classes = discriminator(fake)
        update(optimizers[0], F.softplus(-source.float()).mean() + F.cross_entropy(classes.float(), labels))

    return step


def compression(teacher: Any, student: nn.Module, batch_size: int) -> Step:
    """Return a step of generator compression with the pixel MSE."""
    teacher.to(DEVICE).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(student.to(DEVICE).parameters())

    def step(mixed: bool) -> None:
        latents = torch.randn(batch_size, teacher.latent_dim, device=DEVICE)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
            with torch.no_grad():
                target = teacher(latents)
            images = student(latents)
        update(optimizer, F.mse_loss(images.float(), target.float()))

    return step


def random_latents(generator: Any, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    latents = torch.randn(count, generator.latent_dim, device=DEVICE)
    return latents, torch.randint(generator.num_classes, (count,), device=DEVICE)


def update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def seconds(step: Step, mixed: bool, steps: int) -> float:
    clock = time.process_time if DEVICE.type == "cpu" else time.perf_counter
    started = clock()
    for _ in range(steps):
        step(mixed)
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return (clock() - started) / steps


def main() -> None:
    torch.manual_seed(0)
    rows = []
    for name, (build, steps) in cases().items():
        step = build()
        for mixed in (False, True):  # warm-up
            seconds(step, mixed, 1)
        rounds = [(seconds(step, False, steps), seconds(step, True, steps)) for _ in range(ROUNDS)]
        full, half = (1000 * median(times) for times in zip(*rounds, strict=True))
        rows.append({"name": name, "float32_ms": round(full, 2), "bf16_mixed_ms": round(half, 2)})
        print(f"{name:<60} {full:8.1f} ms {half:8.1f} ms   ratio {full / half:.2f}", flush=True)
    device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu"
    environment = {key: value for key, value in describe_environment(device).items() if key != "git"}
    slug = re.sub("[^a-z0-9]+", "-", str(environment["device"]).lower()).strip("-")
    content = {"command": "python -m benchmarks.precision", "environment": environment, "rows": rows}
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{slug}.json"
    file.write_text(json.dumps(content, indent=2) + "\n")
    print(file)


if __name__ == "__main__":
    main()
