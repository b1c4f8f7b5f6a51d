from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image
from torch import Tensor

from ganmc_lightning.callbacks import SampleGrid
from ganmc_lightning.callbacks.sample_grid import draw_grid, save_grid, tile
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, Generator


class Flat(Generator):
    """An image of one gray level: the class, or with no class the sign of the first latent."""

    def __init__(self, num_classes: int, channels: int = 1) -> None:
        super().__init__(4, num_classes, (channels, 3, 5))
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert not self.training
        level = latents[:, 0].sign() if labels is None else labels / 10
        return level.view(-1, 1, 1, 1).expand(-1, *self.sample_shape)


def test_tiles_by_hand() -> None:
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 1, 2, 2)
    assert tile(images, 3)[:, :, 0].tolist() == [
        [0, 0, 255, 1, 1, 255, 2, 2],
        [0, 0, 255, 1, 1, 255, 2, 2],
        [255, 255, 255, 255, 255, 255, 255, 255],
        [3, 3, 255, 4, 4, 255, 255, 255],
        [3, 3, 255, 4, 4, 255, 255, 255],
    ]


def test_channels_go_last() -> None:
    images = torch.arange(2 * 3, dtype=torch.uint8).view(2, 3, 1, 1)
    assert tile(images, 2).tolist() == [[[0, 1, 2], [255, 255, 255], [3, 4, 5]]]


def test_a_row_a_class() -> None:
    generator = Flat(num_classes=3)
    grid = draw_grid(generator, 4, torch.device("cpu"))
    assert grid.shape == (3 * 4 - 1, 4 * 6 - 1, 1)
    assert grid.dtype == torch.uint8
    for label in range(3):
        level = round((label / 10 + 1) * 127.5)
        assert set(grid[4 * label : 4 * label + 3].flatten().tolist()) == {level, 255}
    assert generator.training  # as it was found


def test_ten_rows_without_classes_and_always_the_same_noise() -> None:
    generator = Flat(num_classes=0, channels=3)
    torch.manual_seed(1)
    grid = draw_grid(generator, 2, torch.device("cpu"))
    state = torch.get_rng_state()
    assert grid.shape == (10 * 4 - 1, 2 * 6 - 1, 3)
    torch.manual_seed(2)
    assert torch.equal(draw_grid(generator, 2, torch.device("cpu")), grid)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_are_enlarged_by_a_whole_factor(tmp_path: Path, channels: int) -> None:
    grid = torch.randint(256, (7, 11, channels), dtype=torch.uint8)
    save_grid(grid, tmp_path / "grid.png", least_width=30)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (33, 21)
        pixels = np.asarray(picture).reshape(21, 33, channels)
    assert np.array_equal(pixels[::3, ::3], grid.numpy())
    assert np.array_equal(pixels[2::3, 2::3], grid.numpy())
    save_grid(grid, tmp_path / "grid.png", least_width=5)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (11, 7)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_pictures_of_a_run(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_size=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_trainer(max_epochs=4, check_val_every_n_epoch=2, callbacks=[SampleGrid(columns=5)])
    trainer.fit(module, make_data())
    pictures = sorted((tmp_path / "samples").iterdir())
    assert [picture.name for picture in pictures] == ["epoch_0002.png", "epoch_0004.png"]
    images = []
    for picture in pictures:
        with Image.open(picture) as image:
            width, height = image.size
            assert (width, height) == (44 * 11, 26 * 11)  # 5 x 3 samples of 8 pixels with lines, at least 480 wide
            images.append(np.asarray(image))
    assert not np.array_equal(*images)
    expected = draw_grid(module.generator, 5, torch.device("cpu"))
    assert np.array_equal(images[1][::11, ::11], expected.squeeze(-1).numpy())


def test_columns_out_of_range() -> None:
    with pytest.raises(ConfigurationError, match=r"SampleGrid\.columns must be at least 1"):
        SampleGrid(0)
