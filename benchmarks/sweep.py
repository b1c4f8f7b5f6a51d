"""Throughput of LeNet-4 over p_fake and the batch size, in float32 and bf16-mixed, compared with a plain loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks.rounds import Budget, Worker, alternate
from benchmarks.rows import Row, speedup, throughput
from benchmarks.shipped import Checkout, pooled, with_trainer
from benchmarks.training import LENET4, LOOP, loop_request, start_fits

PRECISIONS = ("32-true", "bf16-mixed")
P_FAKES = (0.0, 0.2, 0.5, 0.8, 1.0)
BATCH_SIZES = (64, 256, 1024, 4096)
P_FAKE, BATCH_SIZE = 0.5, 256  # of the cells in which the other value varies
FIT = "ganmc fit"


def cells(quick: bool) -> Iterator[tuple[str, float, int]]:
    """Yield precision, p_fake and batch size of each cell."""
    points = [(p_fake, BATCH_SIZE) for p_fake in P_FAKES]
    points += [(P_FAKE, batch_size) for batch_size in BATCH_SIZES if batch_size != BATCH_SIZE]
    for precision in PRECISIONS:
        for p_fake, batch_size in points[1:3] if quick else points:
            yield precision, p_fake, batch_size


def measure(checkout: Checkout, budget: Budget, quick: bool) -> list[Row]:
    """Measure all cells with two processes."""
    pair = LENET4._replace(train_size=None)
    rows = []
    with ExitStack() as stack:
        fit = stack.enter_context(checkout.worker())
        loop = stack.enter_context(Worker("loop.py", checkout.folder))
        for worker in (fit, loop):
            worker.receive()
        for precision, p_fake, batch_size in cells(quick):
            config = with_trainer(_config(checkout, p_fake, batch_size), precision=precision)
            start_fits({FIT: fit}, {FIT: config}, checkout)
            file = checkout.write("loop", config)
            loop.ask(**loop_request(pair, checkout, file, precision, usual=False))
            timings = alternate({FIT: fit, LOOP: loop}, budget)
            for worker in (fit, loop):
                worker.stop()
            fit.receive()  # the exit code
            name = f"LeNet-4 with a pool, p_fake {p_fake}, batch {batch_size}, {precision}"
            cell = {"p_fake": p_fake, "batch_size": batch_size, "precision": precision}
            rows += [
                throughput(f"{name}: {implementation}", timing, batch_size, implementation=implementation, **cell)
                for implementation, timing in timings.items()
            ]
            rows.append(speedup(f"{name}: ratio to the loop", timings[LOOP], timings[FIT]))
    return rows


def _config(checkout: Checkout, p_fake: float, batch_size: int) -> dict[str, Any]:
    config = checkout.config(LENET4.config)
    config["data"] |= {"p_fake": p_fake, "batch_size": batch_size}
    config["data"].pop("train_size", None)
    return pooled(config)
