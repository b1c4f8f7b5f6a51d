"""Forward pass of teachers with folded batch normalization, and without: ``python -m benchmarks --only folding``."""

from __future__ import annotations

from statistics import median

import torch
from torch import nn
from torch.utils.benchmark import Timer
from torchvision import models

from benchmarks.rows import Row, row
from benchmarks.shipped import ON_GPU
from ganmc_lightning.cli.malloc import keep_freed_memory
from ganmc_lightning.networks import CIFARResNet, PreActResNet, ResNet18
from ganmc_lightning.networks.folding import fold_batchnorm

ROUNDS = 7
PRECISIONS = {"32-true": False, "bf16-mixed": True}
# Name, network, batch size on a CPU and a GPU, image size.
CASES = (
    ("ResNet-18 for 32 pixels", ResNet18, 64, 256, 32),
    ("ResNet-56 of CIFAR-10", lambda: CIFARResNet(depth=56), 128, 256, 32),
    ("ResNet-164, preactivation", lambda: PreActResNet(depth=164), 64, 256, 32),
    ("ResNet-50", models.resnet50, 8, 64, 224),
    ("MobileNetV3-Large", models.mobilenet_v3_large, 16, 64, 224),
    ("EfficientNet-B0", models.efficientnet_b0, 16, 64, 224),
)


def measure() -> list[Row]:
    """Measure the forward pass of a batch in alternating rounds, on one thread, with the memory settings of ``ganmc``.

    Each row is the median time of the network over that of its copy with folded batch normalization.
    """
    keep_freed_memory()
    device = torch.device("cuda" if ON_GPU else "cpu")
    rows = []
    for name, build, cpu_batch, gpu_batch, size in CASES:
        torch.manual_seed(0)
        network = build().eval().to(device)
        images = torch.randn(gpu_batch if ON_GPU else cpu_batch, 3, size, size, device=device)
        images = images.to(memory_format=torch.channels_last)
        folded = fold_batchnorm(network, images[:2])
        assert folded is not None
        for precision, mixed in PRECISIONS.items():
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                plain, faster = _seconds([network, folded], images)
            rows.append(row(f"folded batch normalization, {name}, {precision}", plain / faster, "x", ">= 1"))
    return rows


def _seconds(networks: list[nn.Module], images: torch.Tensor) -> list[float]:
    timers = [Timer("network(images)", globals={"network": each, "images": images}) for each in networks]
    steps = max(1, round(0.1 / timers[0].timeit(3).median))
    rounds = [[timer.timeit(steps).median for timer in timers] for _ in range(ROUNDS)]
    return [median(seconds) for seconds in zip(*rounds, strict=True)]
