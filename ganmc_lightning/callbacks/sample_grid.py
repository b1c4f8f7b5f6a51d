"""Save images of generated samples during training."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from ganmc_lightning.callbacks.submodule import check_single, find_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.image_grid import MAX_CHANNELS, save_image_grid
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.modes import evaluating

GRID_SEED = 0


class SampleGrid(Callback):
    """Save ``samples/epoch_<n>.png`` in the run folder, with one row per class and equal latents in every file.

    The image is saved at every validation of a training run (``trainer.check_val_every_n_epoch``), and logged if there
    is a W&B logger. Generators of rows, and of images with more than four channels, are ignored.

    Args:
        columns: number of samples per class (default: 10).
        submodule: name of the generator in the LightningModule.

    Raises:
        ConfigurationError: ``columns`` is not positive; in ``setup``: the submodule is not a generator, or there are
            several of these callbacks.

    Example:
        >>> SampleGrid(columns=4).columns
        4
    """

    def __init__(self, columns: int = 10, submodule: str = "generator") -> None:
        if columns < 1:
            raise ConfigurationError(f"SampleGrid.columns: got {columns}, expected at least 1")
        self.columns = columns
        self.submodule = submodule

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Validate that the submodule is a generator, and that there is no other grid."""
        check_single(trainer, self)
        find_generator(pl_module, self.submodule, "SampleGrid")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save and log the image."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or not trainer.is_global_zero:
            return
        generator = find_generator(pl_module, self.submodule, "SampleGrid")
        if len(generator.sample_shape) != 3 or generator.sample_shape[0] > MAX_CHANNELS:
            return
        path = Path(trainer.default_root_dir) / "samples" / f"epoch_{trainer.current_epoch + 1:04d}.png"
        save_image_grid(sample_per_class(generator, self.columns, pl_module.device), self.columns, path)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [str(path)], step=trainer.global_step)


@torch.no_grad()
def sample_per_class(generator: Generator, columns: int, device: torch.device) -> Tensor:
    """Generate ``columns`` images of each class with fixed latents.

    Args:
        generator: generator of images (C, H, W) in [-1, 1].
        columns: number of images per class; an unconditional generator returns ``10 * columns`` images.
        device: device of the generator.

    Returns:
        float images in [-1, 1] (classes * columns, C, H, W), on the CPU.
    """
    rows = generator.num_classes or 10
    # sampled on the CPU: equal latents on every device
    latents = generator.sample_latents(rows * columns, "cpu", torch.Generator().manual_seed(GRID_SEED)).to(device)
    labels = torch.arange(rows, device=device).repeat_interleave(columns) if generator.num_classes else None
    with evaluating(generator):
        images: Tensor = generator(latents, labels)
    return images.float().cpu()
