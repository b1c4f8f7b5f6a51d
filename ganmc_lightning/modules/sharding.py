"""Fully sharded training (FSDP2): each process stores a shard of the trained network and of its optimizer state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import (
    DDPStrategy,
    ModelParallelStrategy,
    SingleDeviceStrategy,
    Strategy,
    StrategyRegistry,
)
from torch import nn
from torch.optim import Optimizer

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules.distributed import broadcast_tensors


class FullyShardedStrategy(ModelParallelStrategy):
    """Fully sharded data parallelism (FSDP2) with checkpoints of one file, ``--trainer.strategy fsdp2``.

    The parameters of the trained network, their gradients and the state of their optimizer are sharded across the
    processes; each forward and backward pass gathers the parameters. Frozen networks are not sharded. The checkpoints
    equal those of one process, which can load them and resume from them.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> type(Trainer(strategy="fsdp2", accelerator="cpu", logger=False).strategy).__name__
        'FullyShardedStrategy'
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Whether Lightning calls :meth:`load_optimizer_state_dict`."""
        return True

    def setup_environment(self) -> None:
        """Start the process group; the parameters are sharded across all processes."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def shard(self, network: nn.Module) -> None:
        """Copy the weights of the first process to all, and shard them; a second call has no effect.

        With ``sync_batchnorm``, layers of batch normalization are converted before.
        """
        from torch.distributed.fsdp import FSDPModule, fully_shard

        if isinstance(network, FSDPModule):
            return
        if self._layer_sync is not None:
            self._layer_sync.apply(network)
        network.to(self.root_device)
        broadcast_tensors([*network.parameters(), *network.buffers()])
        for parameter in network.parameters():
            parameter.data = parameter.data.contiguous()  # FSDP2 does not support channels-last weights
        fully_shard(network, mesh=self.device_mesh["data_parallel"])

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Copy the buffers of the first process, such as running statistics, as DDP does, and run the step."""
        module: Any = self.lightning_module
        broadcast_tensors(module.get_submodule(module.trained_module).buffers())
        return super().training_step(*args, **kwargs)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; the weights are loaded after the hooks of the module."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Load the weights, of which each process keeps its shard."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

        assert self.model is not None
        options = StateDictOptions(full_state_dict=True, strict=False)  # the module has validated the names
        set_model_state_dict(self.model, dict(checkpoint["state_dict"]), options=options)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the state of an optimizer as ``Optimizer.state_dict`` does; empty except in the first process."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

        assert self.model is not None
        optimizer = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        named: dict[str, Any] = get_optimizer_state_dict(self.model, optimizer, options=options)
        if not named:
            return {}
        numbers = {name: number for number, name in enumerate(_parameter_names(self.model, optimizer))}
        return {
            "state": {numbers[name]: value for name, value in named["state"].items()},
            "param_groups": [
                {**group, "params": [numbers[name] for name in group["params"]]} for group in named["param_groups"]
            ],
        }

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load the state of the optimizers, of which each process keeps its shard."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

        assert self.model is not None
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            if not state["state"]:  # such as that of SGD without momentum
                for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
                    group.update({key: value for key, value in saved.items() if key != "params"})
                continue
            names = _parameter_names(self.model, optimizer)
            named: dict[str, Any] = {
                "state": {names[number]: value for number, value in state["state"].items()},
                "param_groups": [
                    {**group, "params": [names[number] for number in group["params"]]}
                    for group in state["param_groups"]
                ],
            }
            options = StateDictOptions(full_state_dict=True, strict=False)  # parameters without gradient have no state
            set_optimizer_state_dict(self.model, optimizer, named, options=options)


StrategyRegistry.register("fsdp2", FullyShardedStrategy, "Fully sharded data parallelism (FSDP2)", override=True)


def check_strategy(strategy: Strategy, class_name: str, shardable: bool) -> None:
    """Validate that a module can be trained with a strategy.

    Args:
        strategy: strategy of the trainer.
        class_name: class of the module, for the error message.
        shardable: whether its trained network can be sharded across processes.

    Raises:
        ConfigurationError: the strategy is not one for a single device, DDP or FSDP2 of a shardable module.
    """
    allowed = (SingleDeviceStrategy, DDPStrategy, *((FullyShardedStrategy,) if shardable else ()))
    if not isinstance(strategy, allowed):
        expected = "ddp or fsdp2, the strategies" if shardable else "ddp, the only strategy"
        given = "fsdp2" if isinstance(strategy, FullyShardedStrategy) else type(strategy).__name__
        raise ConfigurationError(
            f"trainer.strategy: got {given}, expected {expected} of {class_name} for several devices"
        )


def _parameter_names(module: nn.Module, optimizer: Optimizer) -> list[str]:
    """Return the names of the parameters of an optimizer in its order."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    return [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
