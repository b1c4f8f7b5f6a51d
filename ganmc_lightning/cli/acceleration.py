"""Speed of training on CUDA: TensorFloat-32, memory format and compiled networks."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.nn.utils import parametrize

from ganmc_lightning.data.reuse import count_batches
from ganmc_lightning.modules.base import CompressionModule

DEVICES = ("cuda",)
COMPILE_STEPS = 10_000
"""Minimum number of training batches for which compilation, which takes up to minutes, is worthwhile."""


class Acceleration(Callback):
    """Settings of training on CUDA; on other devices nothing changes.

    Weights of convolutions are stored in channels-last memory format, as the images of a batch are.

    ``compile: auto`` compiles networks with ``torch.compile`` for runs of 10,000 or more batches on one CUDA device.
    Compiled code is used in training steps only, in which all batches have equal sizes; validation, sample grids and
    metrics run the networks eagerly. Parameter names in checkpoints stay the same. Networks that are not compiled:
    those whose intermediate layers are compared (ANC, feature losses), discriminators with a gradient penalty, because
    ``torch.compile`` does not support second derivatives, and networks with spectral normalization.

    Args:
        float32_matmul_precision: ``"high"`` uses TensorFloat-32 for float32 matrix products and convolutions (default);
            ``"highest"`` uses float32.
        compile: ``"off"`` (default) or ``"auto"``.

    Example:
        >>> Acceleration().float32_matmul_precision
        'high'
    """

    def __init__(
        self,
        float32_matmul_precision: Literal["high", "highest"] = "high",
        compile: Literal["auto", "off"] = "off",  # noqa: A002 - the name of the option
    ) -> None:
        self.float32_matmul_precision = float32_matmul_precision
        self.compile = compile
        self._compiled: list[tuple[nn.Module, Any]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set the precision of float32, and the memory format of the weights."""
        if trainer.strategy.root_device.type not in DEVICES:
            return
        torch.set_float32_matmul_precision(self.float32_matmul_precision)
        torch.backends.cudnn.allow_tf32 = self.float32_matmul_precision == "high"
        for parameter in pl_module.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compile the networks for the training step, without running the compiler yet."""
        assert isinstance(pl_module, CompressionModule)
        single = trainer.world_size == 1 and trainer.strategy.root_device.type in DEVICES
        if self.compile == "off" or not single or count_batches(trainer) < COMPILE_STEPS:
            return
        for network in pl_module.compilable_networks():
            if not any(parametrize.is_parametrized(layer) for layer in network.modules()):
                network.compile(**compile_options(trainer, pl_module))
                self._compiled.append((network, network._compiled_call_impl))
        self._use_compiled(False)
        if self._compiled:
            self._wrap_training_step(pl_module)

    def _wrap_training_step(self, module: LightningModule) -> None:
        """Use compiled networks in the training step only: callbacks run networks in other batch sizes."""
        step = module.training_step

        def training_step(batch: Any, batch_idx: int) -> Any:
            torch.compiler.cudagraph_mark_step_begin()
            self._use_compiled(True)
            try:
                return step(batch, batch_idx)
            finally:
                self._use_compiled(False)

        module.training_step = training_step  # type: ignore[method-assign]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Use the networks eagerly after the run."""
        self._restore(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Use the networks eagerly after the run."""
        self._restore(pl_module)

    def _restore(self, module: LightningModule) -> None:
        if self._compiled:
            self._compiled = []
            del module.training_step

    def _use_compiled(self, use: bool) -> None:
        for network, call in self._compiled:
            network._compiled_call_impl = call if use else None  # PyTorch has no function to undo Module.compile


def compile_options(trainer: Trainer, module: CompressionModule) -> dict[str, Any]:
    """Return the arguments of ``Module.compile``.

    CUDA graphs, which remove the cost of kernel launches, overwrite the outputs and gradients of a network in its next
    forward pass. They are used with one optimizer that steps after each batch, where each network has one forward pass
    per step.
    """
    graphs = module.automatic_optimization and trainer.accumulate_grad_batches == 1
    return {"dynamic": False, "mode": "reduce-overhead" if graphs else "default"}
