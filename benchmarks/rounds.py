"""Worker processes that are timed in alternating rounds.

Each worker pauses outside its rounds, so that processes of different versions and environments can be compared while
the load of the machine changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

import torch

ROOT = Path(__file__).parents[1]
WORKERS = Path(__file__).parent / "workers"
SETTLE = 5


@dataclass(frozen=True)
class Budget:
    """Length of the measurement of each worker.

    Attributes:
        seconds: duration of one round, at least one step.
        rounds: number of rounds.
    """

    seconds: float
    rounds: int

    @classmethod
    def choose(cls, quick: bool) -> Budget:
        """Return short rounds for a trial and for GPUs, whose steps take milliseconds."""
        if torch.cuda.is_available():
            return cls(0.1, 3) if quick else cls(0.15, 3)
        return cls(0.3, 2) if quick else cls(1.5, 4)

    def halved(self) -> Budget:
        """Return rounds of half the duration, for benchmarks with many cases."""
        return Budget(self.seconds / 2, self.rounds)


class Worker:
    """Process that runs a script of ``benchmarks/workers``.

    Args:
        script: name of the script.
        folder: working directory; the log is written there.
        source: folder of the package to import.
        python: interpreter.
    """

    def __init__(self, script: str, folder: Path, source: Path = ROOT, python: str = sys.executable) -> None:
        self._log = folder / "workers.log"
        path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "GANMC_DATA": str(folder / "data")}
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [python, str(WORKERS / script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env=environment,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, **request: Any) -> None:
        """Send a request without waiting for the reply."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for a reply; exit with the end of the log if the worker ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"a worker ended, see {self._log}:\n" + self._log.read_text()[-2000:])
        reply: dict[str, Any] = json.loads(line)
        return reply

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply."""
        self.send(**request)
        return self.receive()

    def seconds(self, steps: int, settle: int = 0) -> float:
        """Return the seconds of one step, averaged over ``steps`` steps after ``settle`` others."""
        reply = self.ask(steps=steps, settle=settle)
        if "seconds" not in reply:
            sys.exit(f"a run ended before it was timed ({reply}), see {self._log}:\n" + self._log.read_text()[-2000:])
        seconds: float = reply["seconds"]
        return seconds / steps

    def stop(self) -> float | None:
        """End the run and return its peak memory in MiB."""
        memory: float | None = self.ask(steps=0, settle=0)["memory"]
        return memory


@dataclass(frozen=True)
class Timing:
    """Seconds per step of one worker, one value per round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def min(self) -> float:
        return min(self.seconds)


def alternate(workers: Mapping[str, Worker], budget: Budget) -> dict[str, Timing]:
    """Time all workers in alternating rounds; in every second round, the order is reversed.

    A round of short steps starts with steps that are not timed: batches that a DataLoader prepared before the round are
    used up, and the caches of the processor are filled.
    """
    plan = {}
    for name, worker in workers.items():
        step = worker.seconds(steps=1, settle=1)
        is_short = step < budget.seconds / 4
        if is_short:
            step = worker.seconds(steps=3, settle=SETTLE)
        plan[name] = (max(1, round(budget.seconds / step)), SETTLE if is_short else 0)
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for k in range(budget.rounds):
        for name in list(workers)[:: -1 if k % 2 else 1]:
            seconds[name].append(workers[name].seconds(*plan[name]))
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
