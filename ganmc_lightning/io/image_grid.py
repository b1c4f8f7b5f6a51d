"""Save a grid of images as a PNG file."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import make_grid, save_image

from ganmc_lightning.io.atomic import atomic_write

MIN_WIDTH = 480
MAX_CHANNELS = 4
"""Maximum number of channels of a PNG file: color and transparency."""


def save_image_grid(images: Tensor, columns: int, path: Path) -> None:
    """Save images as one PNG file, row by row, with white lines between them.

    Args:
        images: uint8 images or float images in [-1, 1] (N, C, H, W) with 1 to 4 channels, on the CPU.
        columns: number of images per row.
        path: PNG file. Small images are enlarged by an integer factor, so that the grid is at least 480 pixels wide.
    """
    factor = math.ceil(MIN_WIDTH / (columns * (images.shape[-1] + 1)))
    scaled = images / 255 if images.dtype == torch.uint8 else (images + 1) / 2  # make_grid expects [0, 1]
    enlarged = scaled.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    grid = make_grid(enlarged, nrow=columns, padding=factor, pad_value=1)
    with atomic_write(path, "wb") as file:
        save_image(grid, file, format="png")
