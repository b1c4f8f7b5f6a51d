"""What a network costs: parameters and operations."""

from __future__ import annotations

import io
import time
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.networks.modes import evaluating


def count_parameters(network: nn.Module) -> int:
    """Number of parameters, trained or frozen."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, *inputs: Tensor) -> int:
    """Floating-point operations of one forward pass, a multiplication and an addition counted as two.

    Convolutions and matrix products are counted (``torch.utils.flop_counter``); element-wise work is not.

    Args:
        network: on the device of ``inputs``.
        inputs: what it is called with.
    """
    with torch.no_grad(), evaluating(network), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return int(counter.get_total_flops())


def state_dict_size(network: nn.Module) -> int:
    """Size of a file that holds the network's weights and buffers, as ``torch.save`` writes it."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getbuffer().nbytes


def throughput(network: nn.Module, *inputs: Tensor, seconds: float = 1.0, rounds: int = 5) -> float:
    """Samples per second of the forward pass in evaluation mode, without gradients: the median of some rounds.

    Args:
        network: on the device of ``inputs``.
        inputs: what it is called with; their length is the number of samples.
        seconds: how long to measure, all rounds together.
        rounds: how many times.
    """
    with torch.no_grad(), evaluating(network):
        network(*inputs)  # warm-up: the first call allocates memory and selects kernels
        once = _seconds(network, inputs, 1)
        count = max(1, round(seconds / rounds / max(once, 1e-9)))
        times = [_seconds(network, inputs, count) for _ in range(rounds)]
    return len(inputs[0]) * count / median(times)


def _seconds(network: nn.Module, inputs: tuple[Tensor, ...], count: int) -> float:
    _synchronize(inputs[0].device)
    started = time.perf_counter()
    for _ in range(count):
        network(*inputs)
    _synchronize(inputs[0].device)
    return time.perf_counter() - started


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
