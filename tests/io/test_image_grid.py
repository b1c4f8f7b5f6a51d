from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.io.image_grid import save_image_grid


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("convert", [lambda images: images, to_float_images])
def test_pixels_of_the_grid(tmp_path, channels, convert):
    """Each image is at its position, enlarged by an integer factor, with white lines between images."""
    images = torch.randint(256, (5, channels, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_image_grid(convert(images), 3, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as file:
        pixels = np.asarray(file)
    factor = math.ceil(480 / 21)
    assert pixels.shape == (11 * factor, 22 * factor, 3)
    grid = pixels[::factor, ::factor]
    assert np.array_equal(np.kron(grid, np.ones((factor, factor, 1))), pixels)
    for index, image in enumerate(images.expand(-1, 3, -1, -1)):
        top, left = 1 + index // 3 * 5, 1 + index % 3 * 7
        assert np.array_equal(grid[top : top + 4, left : left + 6], image.permute(1, 2, 0))
    assert (grid[::5] == 255).all()
    assert (grid[:, ::7] == 255).all()


def test_large_images_keep_their_size(tmp_path):
    save_image_grid(torch.zeros(1, 1, 500, 490), 1, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as file:
        assert file.size == (490, 500)
