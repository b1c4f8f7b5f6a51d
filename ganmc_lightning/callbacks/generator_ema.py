"""Exponential moving average of the weights of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganmc_lightning.callbacks.submodule import check_single, find_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.wrappers import rename_weights

RAW_KEY = "generator_ema_raw"


class GeneratorEMA(Callback):
    """Average the weights of the generator exponentially, and use the average for evaluation.

    The average replaces the weights during the validation of a training (sample grids, metrics), in the checkpoint, so
    that ``load_generator`` loads the averaged generator, and at the end of training. The raw weights are saved as well,
    and training resumes from them.
    Buffers, such as batch statistics, are copied and not averaged. The decay of step k is at most
    ``(1 + k) / (10 + k)``, so that the average forgets the random initialization. The average is stored in float32 or
    float64, because half precision would round off updates of relative size 1 - decay.

    Args:
        decay: decay of the average per step, in [0, 1) (default: 0.999).
        submodule: name of the generator in the LightningModule.

    Raises:
        ConfigurationError: ``decay`` is not in [0, 1); in ``setup``: ``submodule`` is not a generator, a
            ModelCheckpoint has ``save_weights_only``, or there are several of these callbacks.

    Example:
        >>> GeneratorEMA(decay=0.99).decay
        0.99
    """

    def __init__(self, decay: float = 0.999, submodule: str = "generator") -> None:
        if not 0 <= decay < 1:
            raise ConfigurationError(f"GeneratorEMA.decay: got {decay}, expected a value in [0, 1)")
        self.decay = decay
        self.submodule = submodule
        self._average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}
        self._replaced: dict[str, Tensor] = {}  # raw weights while the module has the average
        self._module: LightningModule | None = None
        self._step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Validate the submodule, and that Lightning calls :meth:`on_save_checkpoint`, which saves the average."""
        check_single(trainer, self)
        find_generator(pl_module, self.submodule, "GeneratorEMA")
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ModelCheckpoint) and callback.save_weights_only:
                raise ConfigurationError(
                    "ModelCheckpoint.save_weights_only: got True with GeneratorEMA, expected False, because Lightning "
                    "would save the raw weights instead of the average"
                )

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Initialize from the generator, or restore the average and the raw weights of the checkpoint."""
        self._module, self._replaced = pl_module, {}
        generator = self._generator(pl_module)
        state = generator.state_dict()
        # the average of the checkpoint has a wider dtype than the weights into which it was loaded
        start = self._average if self._raw else state
        self._average = {name: _to_float32(start[name].to(value.device)).clone() for name, value in state.items()}
        if self._raw:
            generator.load_state_dict(rename_weights(self._raw, state))
            self._raw = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the step from which the run starts or resumes."""
        self._step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average after each generator step; with ``n_critic > 1``, not every batch is a generator step."""
        step = trainer.global_step
        if step == self._step:
            return
        self._step = step
        decay = min(self.decay, (1 + step) / (10 + step))
        generator = self._generator(pl_module)
        # Under all names of shared weights, because each of them is a key of the state.
        named = generator.named_parameters(remove_duplicate=False)
        weights = {name: _to_float32(parameter) for name, parameter in named}
        update = get_ema_multi_avg_fn(decay)
        update([self._average[name] for name in weights], list(weights.values()), None)
        for name, buffer in generator.named_buffers(remove_duplicate=False):
            if name in self._average:  # except non-persistent buffers, which are constant
                self._average[name].copy_(buffer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the weights by the average, during training; later validations may be of other weights."""
        if trainer.state.fn == TrainerFn.FITTING and self._average:
            self._replace_weights(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the weights."""
        if trainer.state.fn == TrainerFn.FITTING and self._replaced:
            self._copy_weights(pl_module, self._replaced)
            self._replaced = {}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the average as the weights of the trained generator."""
        self._replace_weights(pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as the generator's weights, and the raw weights under an extra key."""
        if not self._average or pl_module is not self._module:
            return
        checkpoint[RAW_KEY] = dict(self._replaced or self._generator(pl_module).state_dict())
        checkpoint["state_dict"].update({f"{self.submodule}.{name}": value for name, value in self._average.items()})

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the raw weights and the average until training starts."""
        self._average, self._replaced = {}, {}
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self._raw = checkpoint.get(RAW_KEY, {})
        prefix = f"{self.submodule}."
        state = checkpoint["state_dict"] if self._raw else {}
        self._average = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}

    def _replace_weights(self, pl_module: LightningModule) -> None:
        """Replace the weights by the average, and keep them."""
        state = self._generator(pl_module).state_dict()
        self._replaced = {name: value.clone() for name, value in state.items()}
        self._copy_weights(pl_module, self._average)

    @torch.no_grad()
    def _copy_weights(self, pl_module: LightningModule, weights: Mapping[str, Tensor]) -> None:
        for name, value in self._generator(pl_module).state_dict().items():
            value.copy_(weights[name])

    def _generator(self, pl_module: LightningModule) -> nn.Module:
        return pl_module.get_submodule(self.submodule)


def _to_float32(value: Tensor) -> Tensor:
    """Convert half precision to float32; return other dtypes unchanged."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
