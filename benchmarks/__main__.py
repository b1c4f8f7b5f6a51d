"""Measure speed and memory, print the results and write ``benchmarks/results/<device>.json``.

python -m benchmarks [--only training sweep ...] [--quick] [--device-part] [--baseline COMMIT]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from benchmarks import (
    baseline,
    boosting,
    evaluation,
    floor,
    folding,
    forests,
    generator_metrics,
    jobs,
    memory,
    metrics,
    neighbors,
    results_file,
    startup,
    sweep,
    training,
)
from benchmarks.rounds import Budget
from benchmarks.rows import Row
from benchmarks.shipped import ON_GPU, Checkout
from benchmarks.workspace import Workspace, make_workspace

DEVICE_PART = ("floor", "training", "folding")
REST = ("startup", "memory", "evaluation", "generator_metrics", "forests", "boosting", "neighbors", "metrics", "jobs")
CHOICES = (*DEVICE_PART, "training_float32", "sweep", "baseline", *REST)
QUICK = ("floor", "training", "sweep", "boosting")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=CHOICES, metavar="NAME", help=f"one or more of {', '.join(CHOICES)}"
    )
    parser.add_argument("--quick", action="store_true", help="short rounds and few cases, as a trial; nothing is saved")
    parser.add_argument("--device-part", action="store_true", help=f"only {', '.join(DEVICE_PART)}; default on a GPU")
    parser.add_argument("--baseline", metavar="COMMIT", help="older commit that the steps are compared with")
    arguments = parser.parse_args()
    if "baseline" in (arguments.only or ()) and arguments.baseline is None:
        parser.error("--only baseline requires --baseline COMMIT")
    return arguments


def choose(arguments: argparse.Namespace) -> list[str]:
    """Return the names of the benchmarks to run."""
    chosen = CHOICES
    if arguments.only:
        chosen = arguments.only
    elif arguments.device_part or ON_GPU:
        chosen = DEVICE_PART
    elif arguments.quick:
        chosen = QUICK
    return [*(name for name in chosen if name != "baseline"), *(["baseline"] if arguments.baseline else [])]


class Suite:
    """The benchmarks by name; data sets and networks are made when the first benchmark needs them."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._folder = folder
        quick, budget = arguments.quick, Budget.choose(arguments.quick)
        pairs = training.PAIRS[: 1 if quick else None]
        used = {*pairs, training.NIN} if arguments.baseline else set(pairs)
        self._networks = sorted({path for pair in used for path in pair.networks})
        self.benchmarks: dict[str, Callable[[], list[Row]]] = {
            "floor": lambda: floor.measure(self.rates),
            "training": lambda: training.measure(self.checkout, self.rates, budget, pairs, not quick),
            "training_float32": lambda: training.measure(
                self.checkout, self.rates, budget, pairs, not quick, precision="32-true"
            ),
            "sweep": lambda: sweep.measure(self.checkout, budget.halved(), quick),
            "baseline": lambda: baseline.measure(self.checkout, arguments.baseline, budget),
            "jobs": lambda: jobs.measure(folder),
            "startup": lambda: startup.measure(self.workspace),
            "memory": lambda: memory.measure(self.workspace),
            "evaluation": lambda: evaluation.measure(self.workspace),
            "generator_metrics": lambda: generator_metrics.measure(self.workspace),
            "metrics": metrics.measure,
            "folding": folding.measure,
            "forests": forests.measure,
            "boosting": boosting.measure,
            "neighbors": neighbors.measure,
        }

    @cached_property
    def rates(self) -> floor.Rates:
        return floor.measure_rates()

    @cached_property
    def checkout(self) -> Checkout:
        checkout = Checkout(self._folder / "shipped")
        checkout.prepare(self._networks)
        return checkout

    @cached_property
    def workspace(self) -> Workspace:
        folder = self._folder / "workspace"
        folder.mkdir()
        return make_workspace(folder)


def main() -> None:
    arguments = parse_arguments()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(arguments, Path(folder))
        for name in choose(arguments):
            rows = suite.benchmarks[name]()
            results_file.print_rows(rows)
            file = "not saved" if arguments.quick else results_file.save(name, rows)
            print(f"{file}, {name}: {time.perf_counter() - started:.0f} s since the start", flush=True)


if __name__ == "__main__":
    main()
