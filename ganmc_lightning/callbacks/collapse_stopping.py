"""Notice a GAN that has come to nothing, before hours are spent on it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError, DivergenceError
from ganmc_lightning.networks.base import Generator

WATCH_SEED = 0
SAMPLES = 64


class GeneratorCollapseStopping(Callback):
    """Looks at a few samples every so often and ends the training when there is nothing left to save.

    A generator whose samples are no longer finite ends the run with an error. One that makes nearly the same
    sample of every noise, for several looks on end, ends the training with a warning; what comes after the
    training goes on. Either way ``best.ckpt`` is what it was before.

    Args:
        every_n_train_steps: batches between two looks.
        min_std: smallest standard deviation over samples, averaged over pixels, that passes; images lie
            in [-1, 1].
        patience: looks on end that must fail.
        submodule: name of the generator in the module.

    Raises:
        ConfigurationError: a number is out of range.
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
                raise ConfigurationError(f"GeneratorCollapseStopping.{name} must be at least 1, got {value}")
        if min_std < 0:
            raise ConfigurationError(f"GeneratorCollapseStopping.min_std must not be negative, got {min_std}")
        self.every_n_train_steps = every_n_train_steps
        self.min_std = min_std
        self.patience = patience
        self.submodule = submodule
        self._batches = 0
        self._failed = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the generator.

        Raises:
            ConfigurationError: there is none of that name.
        """
        if not isinstance(dict(pl_module.named_modules()).get(self.submodule), Generator):
            raise ConfigurationError(f"GeneratorCollapseStopping.submodule: '{self.submodule}' is no generator")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look, when it is time.

        Raises:
            DivergenceError: the generator's samples are not finite.
        """
        self._batches += 1
        if self._batches % self.every_n_train_steps:
            return
        generator = pl_module.get_submodule(self.submodule)
        assert isinstance(generator, Generator)
        spread = sample_std(generator, pl_module.device)
        if not torch.isfinite(spread):
            raise DivergenceError(
                f"the {self.submodule} diverged: after {self._batches} batches its samples are not finite; lower the "
                f"learning rates or choose another loss. {_kept(trainer)}"
            )
        self._failed = self._failed + 1 if spread < self.min_std else 0
        if self._failed >= self.patience:
            warnings.warn(
                f"training ends: after {self._batches} batches the {self.submodule} makes the same sample of "
                f"every noise "
                f"(spread {spread:.4f}, least {self.min_std}). {_kept(trainer)}",
                stacklevel=2,
            )
            trainer.should_stop = True

    def state_dict(self) -> dict[str, int]:
        """Batches seen and looks failed."""
        return {"batches": self._batches, "failed": self._failed}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on counting."""
        self._batches, self._failed = state_dict["batches"], state_dict["failed"]


@torch.no_grad()
def sample_std(generator: Generator, device: torch.device) -> Tensor:
    """Standard deviation over 64 samples of always the same noise, averaged over pixels; a scalar.

    The generator runs in evaluation mode and is left as it was; no random number of the run is used up.
    """
    random = torch.Generator().manual_seed(WATCH_SEED)
    latents = generator.sample_latents(SAMPLES, "cpu", random).to(device)
    labels = torch.arange(SAMPLES, device=device) % generator.num_classes if generator.num_classes else None
    was_training = generator.training
    generator.eval()
    samples = generator(latents, labels)
    generator.train(was_training)
    spread: Tensor = samples.float().std(dim=0).mean()
    return spread


def _kept(trainer: Trainer) -> str:
    """What is left of the run."""
    saving = trainer.checkpoint_callback
    path = saving.best_model_path if isinstance(saving, ModelCheckpoint) else ""
    return f"The best checkpoint so far is {Path(path).name}" if path else "No checkpoint was saved yet"
