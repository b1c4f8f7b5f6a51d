"""Pictures of what a generator makes while it trains."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image
from torch import Tensor

from ganmc_lightning.batch import encode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.networks.base import Generator

GRID_SEED = 0


class SampleGrid(Callback):
    """Writes ``samples/epoch_<n>.png`` into the run folder: a row a class, the same noise every time.

    It draws at every validation of a training (``trainer.check_val_every_n_epoch``). With a W&B logger the picture
    goes there too.

    Args:
        columns: samples of each class.
        submodule: name of the generator in the module.

    Raises:
        ConfigurationError: ``columns`` is not positive.
    """

    def __init__(self, columns: int = 10, submodule: str = "generator") -> None:
        if columns < 1:
            raise ConfigurationError(f"SampleGrid.columns must be at least 1, got {columns}")
        self.columns = columns
        self.submodule = submodule

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, save and log the grid."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or not trainer.is_global_zero:
            return
        generator = pl_module.get_submodule(self.submodule)
        if not isinstance(generator, Generator) or len(generator.sample_shape) != 3:
            return  # rows have no picture
        path = Path(trainer.default_root_dir) / "samples" / f"epoch_{trainer.current_epoch + 1:04d}.png"
        save_grid(draw_grid(generator, self.columns, pl_module.device), path)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [str(path)], step=trainer.global_step)


@torch.no_grad()
def draw_grid(generator: Generator, columns: int, device: torch.device) -> Tensor:
    """Samples laid out as one image, a row a class (ten rows where there are no classes).

    Args:
        generator: makes images (C, H, W) in [-1, 1].
        columns: samples of each row.
        device: where the generator lives.

    Returns:
        uint8 (height, width, C), with a line of one white pixel between samples.
    """
    rows = generator.num_classes or 10
    # Drawn on the CPU: the same noise on every device.
    latents = generator.sample_latents(rows * columns, "cpu", torch.Generator().manual_seed(GRID_SEED)).to(device)
    labels = torch.arange(rows, device=device).repeat_interleave(columns) if generator.num_classes else None
    was_training = generator.training
    generator.eval()
    images = encode(generator(latents, labels)).cpu()
    generator.train(was_training)
    return tile(images, columns)


def tile(images: Tensor, columns: int) -> Tensor:
    """Lay uint8 images (N, C, H, W) out in rows of ``columns``; returns uint8 (height, width, C)."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    grid = torch.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 255, dtype=torch.uint8)
    for k, image in enumerate(images.permute(0, 2, 3, 1)):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        grid[top : top + height, left : left + width] = image
    return grid


def save_grid(grid: Tensor, path: Path, least_width: int = 480) -> None:
    """Write a grid (H, W, C) as a PNG, enlarged by a whole factor where it is small."""
    picture = Image.fromarray(grid.squeeze(-1).numpy())
    factor = max(1, -(-least_width // picture.width))
    size = (picture.width * factor, picture.height * factor)
    with atomic_write(path, "wb") as file:
        picture.resize(size, Image.Resampling.NEAREST).save(file, format="PNG")
