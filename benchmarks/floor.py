"""Rates of the device for arithmetic and copies, and the least seconds of a step at these rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from benchmarks.rows import Row, row

REPEATS = 5
ADAM_PASSES = 7 * 4  # bytes per parameter: weight and two averages read and written, gradient read


@dataclass(frozen=True)
class Rates:
    """Measured rates of the device.

    Attributes:
        flops: operations per second, by Lightning's name of the precision: the larger rate of a matrix product and a
            convolution, which different libraries compute on a CPU.
        copied: bytes per second of a large copy, read and written.
    """

    flops: dict[str, float]
    copied: float

    def floor(self, precision: str, flops: float, parameters: float) -> float:
        """Return the least seconds of a step that computes ``flops`` and updates ``parameters`` by Adam."""
        return max(flops / self.flops[precision], parameters * ADAM_PASSES / self.copied)


def measure_rates() -> Rates:
    """Measure the best of several products, convolutions and copies."""
    torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    n, images = (8192, 1024) if on_gpu else (1536, 64)
    flops = {}
    for precision, dtype in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)):
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        layer = nn.Conv2d(256, 256, 3, padding=1, bias=False, device=device, dtype=dtype)
        layer = layer.requires_grad_(False).to(memory_format=torch.channels_last)
        features = torch.randn(images, 256, 16, 16, device=device, dtype=dtype)
        features = features.to(memory_format=torch.channels_last)
        product = 2 * n**3 / _best(lambda a=a, b=b: a @ b)
        convolution = 2 * features.numel() * layer.weight[0].numel() / _best(partial(layer, features))
        flops[precision] = max(product, convolution)
    source = torch.zeros(2**28 if on_gpu else 2**26, device=device)
    target = torch.empty_like(source)
    return Rates(flops, 2 * source.nbytes / _best(lambda: target.copy_(source)))


def measure(rates: Rates) -> list[Row]:
    """Return the measured rates."""
    rows = [row(f"matrix product or convolution, {name}", rate / 1e9, "GFLOP/s") for name, rate in rates.flops.items()]
    return [*rows, row("copy, read and written", rates.copied / 1e9, "GB/s")]


def _best(function: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        started = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])  # the first call chooses a kernel
