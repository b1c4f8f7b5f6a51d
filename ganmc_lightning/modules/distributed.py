"""Training with several processes (DDP) of modules with several optimizers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.optim import Optimizer


def manual_backward(module: LightningModule, loss: Tensor, optimizer: Optimizer) -> None:
    """Compute the gradients of one optimizer, averaged over all processes, in manual optimization.

    DDP would wait for the gradients of all parameters of the module, but a step of one optimizer computes only those of
    its parameters. Buffers, such as running statistics of batch normalization, are copied from the first process.

    Args:
        module: module that is trained; the forward passes of the step are done.
        loss: scalar to minimize.
        optimizer: optimizer of the parameters; each process computes gradients of the same parameters.
    """
    strategy = module.trainer.strategy
    if not isinstance(strategy, DDPStrategy) or strategy.world_size == 1:
        module.manual_backward(loss)
        return
    with strategy.block_backward_sync():
        module.manual_backward(loss)
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    _average([parameter.grad for parameter in parameters if parameter.grad is not None], strategy)
    frozen = tuple(f"{name}." for name in getattr(module, "frozen_modules", ()))
    broadcast_tensors(buffer for name, buffer in module.named_buffers() if not name.startswith(frozen))


@torch.no_grad()
def _average(tensors: Sequence[Tensor], strategy: DDPStrategy) -> None:
    """Replace each tensor by its mean over all processes."""
    for same_type in _by_dtype(tensors):
        flat = torch.cat([tensor.flatten() for tensor in same_type]).div_(strategy.world_size)
        distributed.all_reduce(flat)
        _copy_parts(flat, same_type)


@torch.no_grad()
def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Replace each floating-point tensor by that of the first process; counters are equal in all processes.

    Autograd does not count these changes (``data``): running statistics are not used in the backward pass of training.
    """
    for same_type in _by_dtype(tensor.data for tensor in tensors if tensor.is_floating_point()):
        flat = torch.cat([tensor.flatten() for tensor in same_type])
        distributed.broadcast(flat, src=0)
        _copy_parts(flat, same_type)


def _by_dtype(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return groups.values()


def _copy_parts(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = flat.split([tensor.numel() for tensor in tensors])
    for part, tensor in zip(parts, tensors, strict=True):
        tensor.copy_(part.view_as(tensor))


def parameters_without_gradient(outputs: Sequence[Tensor], parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return the trainable parameters that outputs do not depend on.

    Example:
        >>> used, unused = nn.Linear(2, 3), nn.Linear(3, 1)
        >>> found = parameters_without_gradient([used(torch.zeros(1, 2))], [*used.parameters(), *unused.parameters()])
        >>> [tuple(parameter.shape) for parameter in found]
        [(1, 3), (1,)]
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    total = torch.stack([output.sum() for output in outputs]).sum()
    gradients = torch.autograd.grad(total, trainable, allow_unused=True)
    return [parameter for parameter, gradient in zip(trainable, gradients, strict=True) if gradient is None]


def gather_objects(value: Any, world_size: int) -> list[Any]:
    """Return the values of all processes in the order of their ranks, in each of them.

    Example:
        >>> gather_objects({"step": 3}, world_size=1)
        [{'step': 3}]
    """
    values = [value] * world_size
    if world_size > 1:
        distributed.all_gather_object(values, value)
    return values
