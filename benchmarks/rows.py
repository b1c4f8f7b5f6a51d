"""Rows of the results."""

from __future__ import annotations

from typing import Any

from benchmarks.rounds import Timing

Row = dict[str, Any]


def row(name: str, value: float, unit: str = "", target: str | None = None, **details: Any) -> Row:
    """Return one result; ``target`` is a bound such as ``>= 0.9``."""
    return {"name": name, "value": value, "unit": unit, "target": target, **details}


def throughput(name: str, timing: Timing, samples: int, **details: Any) -> Row:
    """Return samples per second of the median and the fastest round."""
    best = samples / timing.min
    return row(name, samples / timing.median, "samples/s", None, best=best, rounds=len(timing.seconds), **details)


def speedup(name: str, slow: Timing, fast: Timing, target: str | None = None) -> Row:
    """Return how many times faster ``fast`` is, by medians and by the fastest rounds."""
    return row(name, slow.median / fast.median, "x", target, best=slow.min / fast.min)
