"""Stop GAN training on mode collapse or non-finite samples."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from ganmc_lightning.callbacks.submodule import find_generator
from ganmc_lightning.exceptions import ConfigurationError, DivergenceError
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.modes import evaluating

PROBE_SEED = 0
SAMPLES = 64
MAX_CLASSES = 16
"""Maximum number of classes of the samples, so that there are 4 or more of each."""


class GeneratorCollapseStopping(Callback):
    """Stop training on mode collapse or non-finite samples.

    Every ``every_n_train_steps`` batches, 64 samples are generated from fixed latents. Non-finite samples raise an
    error. (Nearly) equal samples in ``patience`` successive checks stop the training with a warning, and later stages
    still run. ``best.ckpt`` is not affected.

    Args:
        every_n_train_steps: number of training batches between two checks.
        min_std: minimum standard deviation over samples, of each class if conditional, averaged over classes and over
            pixels of images in [-1, 1].
        patience: number of successive failed checks that stops training.
        submodule: name of the generator in the LightningModule.

    Raises:
        ConfigurationError: a number is out of range.

    Example:
        >>> GeneratorCollapseStopping(every_n_train_steps=100).state_dict()
        {'batches': 0, 'failed': 0}
    """

    def __init__(
        self,
        every_n_train_steps: int = 200,
        min_std: float = 0.02,
        patience: int = 5,
        submodule: str = "generator",
    ) -> None:
        for name, value in (("every_n_train_steps", every_n_train_steps), ("patience", patience)):
            if value < 1:
                raise ConfigurationError(f"GeneratorCollapseStopping.{name}: got {value}, expected at least 1")
        if min_std < 0:
            raise ConfigurationError(f"GeneratorCollapseStopping.min_std: got {min_std}, expected at least 0")
        self.every_n_train_steps = every_n_train_steps
        self.min_std = min_std
        self.patience = patience
        self.submodule = submodule
        self._batches = 0
        self._failed = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Validate that the submodule is a generator.

        Raises:
            ConfigurationError: the submodule is not a generator.
        """
        find_generator(pl_module, self.submodule, "GeneratorCollapseStopping")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the samples every ``every_n_train_steps`` batches.

        Raises:
            DivergenceError: the samples are not finite.
        """
        self._batches += 1
        if self._batches % self.every_n_train_steps:
            return
        generator = find_generator(pl_module, self.submodule, "GeneratorCollapseStopping")
        # Rank 0 decides for all processes, whose kernels may round differently: otherwise one could stop alone.
        std = trainer.strategy.broadcast(sample_std(generator, pl_module.device).item())
        if not math.isfinite(std):
            raise DivergenceError(
                f"the {self.submodule} diverged: its samples are not finite after {self._batches} batches; lower the "
                f"learning rates or choose another loss. {_best_checkpoint_hint(trainer)}"
            )
        self._failed = self._failed + 1 if std < self.min_std else 0
        if self._failed >= self.patience:
            warnings.warn(
                f"training stops: the {self.submodule} generates (nearly) equal samples after {self._batches} batches "
                f"(standard deviation {std:.4g}, expected at least {self.min_std}). {_best_checkpoint_hint(trainer)}",
                stacklevel=2,
            )
            trainer.should_stop = True

    def state_dict(self) -> dict[str, int]:
        """Return the numbers of batches and of failed checks."""
        return {"batches": self._batches, "failed": self._failed}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Restore the numbers of batches and of failed checks."""
        self._batches, self._failed = state_dict["batches"], state_dict["failed"]


@torch.no_grad()
def sample_std(generator: Generator, device: torch.device) -> Tensor:
    """Return the standard deviation over 64 samples of fixed latents, averaged over pixels; a scalar.

    For a conditional generator, it is computed within each of the first 16 classes and averaged over them, because one
    image per class is a collapse too. The training mode of the generator and the global random state are unchanged.
    """
    random = torch.Generator().manual_seed(PROBE_SEED)
    latents = generator.sample_latents(SAMPLES, "cpu", random).to(device)
    classes = min(generator.num_classes, MAX_CLASSES)
    labels = torch.arange(SAMPLES, device=device) % classes if classes else None
    with evaluating(generator):
        samples = generator(latents, labels).float()
    groups = [samples[label::classes] for label in range(classes)] if classes else [samples]
    return torch.stack([group.std(dim=0).mean() for group in groups]).mean()


def _best_checkpoint_hint(trainer: Trainer) -> str:
    callback = trainer.checkpoint_callback
    path = callback.best_model_path if isinstance(callback, ModelCheckpoint) else ""
    return f"The best checkpoint so far is {Path(path).name}" if path else "No checkpoint was saved yet"
