"""Base class of modules with a trained network: its description, its size, and its shards."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.modules.distributed import broadcast_tensors
from ganmc_lightning.modules.sharding import FullyShardedStrategy
from ganmc_lightning.networks.profiling import count_flops, count_parameters


class TrainedNetworkModule(LightningModule, ABC):
    """Base class of modules that train a network to deploy."""

    trained_module: ClassVar[str]
    """Name of the submodule to deploy; its size is reported."""
    shardable: bool = False
    """Whether the trained network can be sharded across processes (FSDP2); its parameters are the only trained ones."""

    def __init__(self) -> None:
        super().__init__()
        self._data: DataSpec | None = None
        self._counts: dict[str, int] = {}

    @property
    def trained_on(self) -> DataSpec | None:
        """Description of the training data; None if no data module provides one."""
        return self._data

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Return the inputs of :attr:`trained_module` for one sample on the CPU, used to count its operations."""
        return (torch.zeros(1, *spec.sample_shape),)

    def count_operations(self) -> dict[str, int]:
        """Return ``parameters`` and ``flops``, those of a forward pass of one sample, of :attr:`trained_module`.

        The network is moved to the CPU in float32; with the strategy ``fsdp2`` it was counted before it was sharded.
        """
        if self._counts:
            return self._counts
        assert self._data is not None
        network = self.get_submodule(self.trained_module).to("cpu", torch.float32)
        return {
            "parameters": count_parameters(network),
            "flops": count_flops(network, *self.example_inputs(self._data)),
        }

    def configure_model(self) -> None:
        """With the strategy ``fsdp2``, shard the parameters of the trained network across the processes."""
        if self._sharding is not None:
            if self._data is not None:
                self._counts = self.count_operations()
            self._sharding.shard(self.get_submodule(self.trained_module))

    def on_validation_start(self) -> None:
        """With the strategy ``fsdp2``, copy the running statistics of the first process, as in training.

        Once, because processes may have unequal numbers of batches.
        """
        if self._sharding is not None:
            broadcast_tensors(self.get_submodule(self.trained_module).buffers())
        super().on_validation_start()

    @property
    def _sharding(self) -> FullyShardedStrategy | None:
        strategy = None if self._trainer is None else self.trainer.strategy
        return strategy if isinstance(strategy, FullyShardedStrategy) else None
