"""Augmentation of whole batches on the device they live on."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

BLACK = -1.0
"""What comes in from outside the image, in [-1, 1]."""


def random_crop(images: Tensor, padding: int, generator: torch.Generator | None = None) -> Tensor:
    """Shift each image by up to ``padding`` pixels in both directions; black comes in.

    Args:
        images: float (N, C, H, W) in [-1, 1].
        padding: largest shift in pixels.
        generator: random generator on the images' device.

    Returns:
        Images of the same shape, each with a shift of its own.
    """
    n, channels, height, width = images.shape
    device = images.device
    padded = F.pad(images, (padding, padding, padding, padding), value=BLACK)
    top, left = torch.randint(2 * padding + 1, (2, n, 1), device=device, generator=generator)
    rows = (top + torch.arange(height, device=device)).view(n, 1, height, 1)
    columns = (left + torch.arange(width, device=device)).view(n, 1, 1, width)
    index = rows * (width + 2 * padding) + columns
    return padded.flatten(2).gather(2, index.view(n, 1, -1).expand(-1, channels, -1)).view_as(images)


def random_flip(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image left to right with probability one half.

    Args:
        images: float (N, C, H, W).
        generator: random generator on the images' device.
    """
    flip = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


class Augment(ABC):
    """A random change that leaves the class of a sample alone."""

    @abstractmethod
    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed samples of the same shape and range."""


class RandomCropFlip(Augment):
    """Random crop and mirror image, the standard augmentation of CIFAR-10.

    Args:
        padding: largest shift in pixels; 4 for 32-pixel images.
        flip: also mirror; leave it out for digits.

    Raises:
        ConfigurationError: ``padding`` is negative.
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        if padding < 0:
            raise ConfigurationError(f"padding must not be negative, got {padding}")
        self.padding = padding
        self.flip = flip

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Crop, then flip images (N, C, H, W)."""
        if inputs.dim() != 4:
            raise ConfigurationError("RandomCropFlip augments images; leave data.augment out for rows")
        if self.padding > 0:
            inputs = random_crop(inputs, self.padding, generator)
        return random_flip(inputs, generator) if self.flip else inputs
