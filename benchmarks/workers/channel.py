"""Requests and replies of a worker process, one JSON value per line."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

STATUS = Path("/proc/self/status")


class Channel:
    """Standard input and output; other prints of the process go to standard error."""

    def __init__(self) -> None:
        self._replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def receive(self) -> Any:
        """Return the next request; exit at the end of the input."""
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        return json.loads(line)

    def send(self, **reply: Any) -> None:
        self._replies.write(json.dumps(reply) + "\n")
        self._replies.flush()


CHANNEL = Channel()


def synchronize() -> None:
    """Wait for the GPU, if there is one; clocks are read only after it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> float | None:
    """Return the largest memory in MiB: allocated on the GPU, else resident; None where neither can be read.

    ``/proc``, not ``getrusage``: a process inherits the peak of its parent.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    if not STATUS.is_file():
        return None
    return next(int(line.split()[1]) / 1024 for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))


def serve(step: Callable[[], object]) -> None:
    """Time rounds of ``step`` on request, until a request for 0 steps."""
    while (request := CHANNEL.receive())["steps"] > 0:
        for _ in range(request["settle"]):
            step()
        synchronize()
        started = time.perf_counter()
        for _ in range(request["steps"]):
            step()
        synchronize()
        CHANNEL.send(seconds=time.perf_counter() - started)
    CHANNEL.send(memory=peak_memory())
