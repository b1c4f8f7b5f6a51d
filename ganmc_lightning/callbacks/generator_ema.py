"""An exponential moving average of the generator alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.wrappers import renamed

RAW_KEY = "generator_ema_raw"


class GeneratorEMA(Callback):
    """Keeps an average of the generator's weights and uses it wherever the generator is looked at.

    The average takes the place of the weights during validation (sample grids, scores) and in the checkpoint's
    weights, so that ``load_generator`` gives the averaged one; the raw weights are saved beside it and
    training goes on from them. Buffers, such as batch statistics, are copied and not averaged. The decay
    of iteration k is at most ``(1 + k) / (10 + k)``, so that the average forgets the random start. The average is
    kept in float32 or wider: a step of 1 - decay is lost in the rounding of half precision.

    Args:
        decay: weight of the past in each iteration, in [0, 1).
        submodule: name of the generator in the module.

    Raises:
        ConfigurationError: ``decay`` lies outside [0, 1).
    """

    def __init__(self, decay: float = 0.999, submodule: str = "generator") -> None:
        if not 0 <= decay < 1:
            raise ConfigurationError(f"GeneratorEMA.decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.submodule = submodule
        self._average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}
        self._held: dict[str, Tensor] = {}
        self._step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from the generator, or from the average and the raw weights of the checkpoint."""
        generator = self._generator(pl_module)
        state = generator.state_dict()
        # The average in a checkpoint is wider than the weights that it was loaded into.
        start = self._average if self._raw else state
        self._average = {name: _wide(start[name].to(value.device)).clone() for name, value in state.items()}
        if self._raw:
            generator.load_state_dict(renamed(self._raw, state))
            self._raw = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from where the run starts or goes on."""
        self._step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average towards the generator, if it took a step: with n_critic > 1 not every batch is one."""
        step = trainer.global_step
        if step == self._step:
            return
        self._step = step
        decay = min(self.decay, (1 + step) / (10 + step))
        current = self._generator(pl_module).state_dict()
        averaged = [name for name, value in current.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self._average[name] for name in averaged], [_wide(current[name]) for name in averaged], 1 - decay
        )
        for name, buffer in self._generator(pl_module).named_buffers():
            if name in self._average:  # a buffer that is no submodule of the state is a constant
                self._average[name].copy_(buffer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in the generator's place."""
        if self._average:
            state = self._generator(pl_module).state_dict()
            self._held = {name: value.clone() for name, value in state.items()}
            self._put(pl_module, self._average)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the generator back."""
        if self._held:
            self._put(pl_module, self._held)
            self._held = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as the generator's weights, and the raw weights beside it."""
        checkpoint[RAW_KEY] = dict(self._held or self._generator(pl_module).state_dict())
        checkpoint["state_dict"].update({f"{self.submodule}.{name}": value for name, value in self._average.items()})

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the raw weights and the average until training starts."""
        self._raw = checkpoint.get(RAW_KEY, {})
        prefix = f"{self.submodule}."
        state = checkpoint["state_dict"] if self._raw else {}
        self._average = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}

    @torch.no_grad()
    def _put(self, pl_module: LightningModule, weights: Mapping[str, Tensor]) -> None:
        for name, value in self._generator(pl_module).state_dict().items():
            value.copy_(weights[name])

    def _generator(self, pl_module: LightningModule) -> nn.Module:
        return pl_module.get_submodule(self.submodule)


def _wide(value: Tensor) -> Tensor:
    """Convert half precision to float32; leave everything else, whole numbers included, as it is."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
