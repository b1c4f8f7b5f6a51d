"""Latency of exported networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor

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


@contextmanager
def single_thread() -> Iterator[None]:
    """Run the operations of PyTorch on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
