"""Number of parameters, FLOPs, size and throughput of a network."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ganmc_lightning.networks.modes import evaluating


def device_name(device: torch.device) -> str:
    """Return the model of a GPU, or the type of another device.

    Example:
        >>> device_name(torch.device("cpu"))
        'cpu'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def count_parameters(network: nn.Module) -> int:
    """Count all parameters, trainable or frozen; shared parameters count once.

    Example:
        >>> count_parameters(nn.Linear(2, 3))
        9
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, *inputs: Tensor) -> int:
    """Count the FLOPs of one forward pass in evaluation mode, two per multiply-add.

    Only convolutions and matrix products are counted (``torch.utils.flop_counter``), including those of attention.

    Args:
        network: network on the device of ``inputs``.
        inputs: arguments of the forward pass.

    Example:
        >>> count_flops(nn.Linear(2, 3), torch.zeros(1, 2))
        12
    """
    with torch.no_grad(), evaluating(network), _unfused_attention(), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return int(counter.get_total_flops())


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Disable the fused operations of transformer layers and of attention, some of which the counter does not know."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def state_dict_size(network: nn.Module) -> int:
    """Return the size in bytes of a file with weights and buffers, written by ``torch.save``."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getbuffer().nbytes


def throughput(network: nn.Module, *inputs: Tensor, seconds: float = 1.0, rounds: int = 5) -> float:
    """Measure the samples per second of forward passes in evaluation mode, without gradients; median of several rounds.

    Args:
        network: network on the device of ``inputs``.
        inputs: arguments of the forward pass; the length of the first is the number of samples.
        seconds: total duration of all rounds in seconds (default: 1).
        rounds: number of rounds (default: 5).
    """
    with torch.no_grad(), evaluating(network):
        network(*inputs)  # warm-up: the first call allocates memory and selects kernels
        once = _seconds(network, inputs, 1)
        count = max(1, round(seconds / rounds / max(once, 1e-9)))
        times = [_seconds(network, inputs, count) for _ in range(rounds)]
    return len(inputs[0]) * count / median(times)


def _seconds(network: nn.Module, inputs: tuple[Tensor, ...], count: int) -> float:
    synchronize(inputs[0].device)
    started = time.perf_counter()
    for _ in range(count):
        network(*inputs)
    synchronize(inputs[0].device)
    return time.perf_counter() - started


@contextmanager
def single_thread() -> Iterator[None]:
    """Run the operations of PyTorch on one thread of the CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def synchronize(device: torch.device) -> None:
    """Wait until a device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
