"""Endless batches of real images: indexed on the device, or from a DataLoader with transforms of single images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from objects import DEVICE, build, to_float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

Batch = tuple[Tensor, Tensor, Tensor | None]
"""Images (N, C, H, W) in [-1, 1], labels (N,), and indices of the images (N,) or None."""


def device_batches(
    images: np.ndarray, labels: np.ndarray, size: int, augment: Any, synthetic: int = 0
) -> Iterator[Batch]:
    """Yield batches of images that are stored on the device as uint8, without those that synthetic ones replace."""
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(DEVICE)
    classes = torch.from_numpy(labels).to(DEVICE)
    augmentation = build(augment)
    generator = torch.Generator(DEVICE)
    while True:
        for index in torch.randperm(len(classes), device=DEVICE).split(size):
            if len(index) == size:
                index = index[synthetic:]
                batch = to_float(stored[index])
                yield (batch if augment is None else augmentation(batch, generator)), classes[index], index


def loader_batches(images: np.ndarray, labels: np.ndarray, size: int, augment: Any) -> Iterator[Batch]:
    """Yield batches of a DataLoader with worker processes and torchvision's transforms."""
    loader = DataLoader(
        ImageDataset(images, labels, augment),
        size,
        shuffle=True,
        drop_last=True,
        num_workers=min(2, os.cpu_count() or 1),
        persistent_workers=True,
        pin_memory=DEVICE.type == "cuda",
    )
    while True:
        for batch, classes in loader:
            yield batch.to(DEVICE, non_blocking=True), classes.to(DEVICE, non_blocking=True), None


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Images of an array, transformed one by one as torchvision's data sets do."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, augment: Any) -> None:
        self.images, self.labels = images, labels
        steps: list[Any] = [transforms.ToPILImage()]
        if augment is not None:
            arguments = augment.get("init_args", {})
            steps.append(transforms.RandomCrop(images.shape[1], padding=arguments.get("padding", 4)))
            if arguments.get("flip", True):
                steps.append(transforms.RandomHorizontalFlip())
        channels = images.shape[3]
        steps += [transforms.ToTensor(), transforms.Normalize((0.5,) * channels, (0.5,) * channels)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])
