"""Augmentation of image batches on their device."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

BLACK_PIXEL = -1.0
"""Value of black pixels of images in [-1, 1], which fill the border after a shift."""
MAX_RATIO = 4 / 3
"""Largest ratio of the relative sides of a resized crop."""


def random_crop(images: Tensor, padding: int, generator: torch.Generator | None = None) -> Tensor:
    """Shift each image by up to ``padding`` pixels in both directions and fill the border with black.

    Args:
        images: float (N, C, H, W) in [-1, 1].
        padding: maximum shift in pixels.
        generator: random generator on the device of the images.

    Returns:
        Images of equal shape, each shifted independently.

    Example:
        >>> image = torch.ones(1, 1, 2, 2)
        >>> random_crop(image, 1, torch.Generator().manual_seed(0)).flatten().tolist()
        [-1.0, 1.0, -1.0, -1.0]
    """
    n, channels, height, width = images.shape
    device = images.device
    padded = F.pad(images, (padding, padding, padding, padding), value=BLACK_PIXEL)
    top, left = torch.randint(2 * padding + 1, (2, n, 1), device=device, generator=generator)
    rows = (top + torch.arange(height, device=device)).view(n, 1, height, 1)
    columns = (left + torch.arange(width, device=device)).view(n, 1, 1, width)
    index = rows * (width + 2 * padding) + columns
    return padded.flatten(2).gather(2, index.view(n, 1, -1).expand(-1, channels, -1)).view_as(images)


def random_flip(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image horizontally with probability 0.5.

    Args:
        images: float (N, C, H, W).
        generator: random generator on the device of the images.
    """
    flip = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def random_resized_crop(
    images: Tensor, smallest: float, max_ratio: float, generator: torch.Generator | None = None
) -> Tensor:
    """Crop a random rectangle of each image and resize it bilinearly to the size of the image (Szegedy et al. 2015).

    Args:
        images: float (N, C, H, W).
        smallest: least share of the area, in (0, 1]; shares are uniform.
        max_ratio: largest ratio of the relative sides, at least 1; ratios are uniform on a logarithmic scale. For
            shares above ``1 / max_ratio`` the largest ratio is the inverse of the share, so that both sides fit.
        generator: random generator on the device of the images.

    Example:
        >>> images = torch.rand(2, 3, 8, 8)
        >>> torch.allclose(random_resized_crop(images, smallest=1.0, max_ratio=1.0), images, atol=1e-6)
        True
    """
    area, ratio, left, top = torch.rand(4, len(images), device=images.device, generator=generator)
    area = smallest + (1 - smallest) * area
    ratio = area.reciprocal().clamp(max=max_ratio) ** (2 * ratio - 1)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    zero = torch.zeros_like(area)
    x, y = (1 - width) * (2 * left - 1), (1 - height) * (2 * top - 1)
    maps = torch.stack([torch.stack([width, zero, x], dim=1), torch.stack([zero, height, y], dim=1)], dim=1)
    with torch.autocast(images.device.type, enabled=False):  # which computes coordinates with 8 bits
        grid = F.affine_grid(maps, list(images.shape), align_corners=False).to(images.dtype)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


class Augment(ABC):
    """Base class of augmentations: random transforms that preserve the class."""

    @abstractmethod
    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return transformed samples of equal shape and range."""


class RandomCropFlip(Augment):
    """Random crop and horizontal flip, the standard augmentation of CIFAR-10.

    Args:
        padding: maximum shift in pixels, at least 0 (default: 4, for images of 32 pixels).
        flip: whether to flip (default: True); False for digits, which flipping makes invalid.

    Raises:
        ConfigurationError: ``padding`` is negative.

    Example:
        >>> augment = RandomCropFlip(padding=1)
        >>> images = torch.rand(4, 3, 8, 8)
        >>> augment(images, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 3, 8, 8])
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        if padding < 0:
            raise ConfigurationError(f"data.augment.padding: got {padding}, expected at least 0")
        self.padding = padding
        self.flip = flip

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Crop, then flip float images (N, C, H, W) in [-1, 1]."""
        _check_images(inputs)
        if self.padding > 0:
            inputs = random_crop(inputs, self.padding, generator)
        return random_flip(inputs, generator) if self.flip else inputs


class RandomResizedCropFlip(Augment):
    """Random crop resized to the image size, and horizontal flip, the standard augmentation of ImageNet.

    Args:
        smallest: least share of the area of a crop, in (0, 1] (default: 0.25; smaller crops often miss the object).
        flip: whether to flip (default: True); False for digits, which flipping makes invalid.

    Raises:
        ConfigurationError: ``smallest`` is not in (0, 1].

    Example:
        >>> augment = RandomResizedCropFlip()
        >>> augment(torch.rand(4, 3, 16, 16), torch.Generator().manual_seed(0)).shape
        torch.Size([4, 3, 16, 16])
    """

    def __init__(self, smallest: float = 0.25, flip: bool = True) -> None:
        if not 0 < smallest <= 1:
            raise ConfigurationError(f"data.augment.smallest: got {smallest}, expected a value in (0, 1]")
        self.smallest = smallest
        self.flip = flip

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Crop, then flip float images (N, C, H, W) in [-1, 1]."""
        _check_images(inputs)
        inputs = random_resized_crop(inputs, self.smallest, MAX_RATIO, generator)
        return random_flip(inputs, generator) if self.flip else inputs


def _check_images(inputs: Tensor) -> None:
    if inputs.dim() != 4:
        raise ConfigurationError(
            f"data.augment: got samples of shape {tuple(inputs.shape[1:])}, expected images; remove it for rows"
        )
