"""Latency of exported networks."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from ganmc_lightning.networks.profiling import single_thread

Predictor = Callable[..., Tensor]
"""Function of the inputs of a deployment that returns its output."""


def median_latency(predict: Predictor, *inputs: Tensor, seconds: float = 0.3) -> float:
    """Measure the seconds of one call on one thread; the median of at least 3 calls after a warm-up.

    Args:
        predict: function of the inputs.
        inputs: a batch.
        seconds: duration of the measurement; at most 1000 calls (default: 0.3).
    """
    times: list[float] = []
    with torch.no_grad(), single_thread():
        predict(*inputs)
        started = time.perf_counter()
        while len(times) < 3 or (time.perf_counter() - started < seconds and len(times) < 1000):
            before = time.perf_counter()
            predict(*inputs)
            times.append(time.perf_counter() - before)
    return median(times)
