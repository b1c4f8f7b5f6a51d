"""Throughput of ``ganmc fit`` and of other training loops, for six shipped configurations.

Loops: with the same mathematics and the same tricks; in the usual style, with DataLoader workers, transforms of single
images, and generator and teacher in every step; torchdistill for distillation on real images.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import torchdistill_environment
from benchmarks.floor import Rates
from benchmarks.rounds import Budget, Timing, Worker, alternate
from benchmarks.rows import Row, row, speedup, throughput
from benchmarks.shipped import CLASSES, Checkout, pooled, real_only, unpooled


class Pair(NamedTuple):
    """One shipped configuration.

    Attributes:
        name: name in the results.
        config: path below ``configs``.
        data: data set of the images; None if none are read.
        distills: whether it is a distillation on real and generated images.
        train_size: number of training images; None for all.
        target: least ratio of ``ganmc fit`` and the loop with the same tricks.
    """

    name: str
    config: str
    data: str | None
    distills: bool
    train_size: int | None = None
    target: str = ">= 0.90"


PREREQUISITES = (
    "fashion_mnist/teacher.yaml",
    "fashion_mnist/acgan.yaml",
    "fashion_mnist/anc_teacher.yaml",
    "cifar10/nin.yaml",
    "cifar10/resnet18.yaml",
    "cifar10/acgan.yaml",
    "cifar10/dcgan.yaml",
)
LENET4 = Pair("LeNet-4, L2, p_fake 0.5", "fashion_mnist/distillation.yaml", "fashion_mnist", True, 2000)
NIN = Pair("NIN -> LeNet, L2, p_fake 0.8", "cifar10/nin_lenet_l2.yaml", "cifar10", True)
PAIRS = (
    LENET4,
    NIN,
    Pair("ResNet-18 -> CNN, KD, p_fake 0.2", "cifar10/resnet18_cnn.yaml", "cifar10", True),
    Pair("ANC, LeNet-4", "fashion_mnist/anc.yaml", "fashion_mnist", False, 2000),
    Pair("AC-GAN, 32 pixels", "cifar10/acgan.yaml", "cifar10", False),
    Pair("W-DCGAN, MSE, 64 pixels", "cifar10/gan_compression_mse.yaml", None, False),
)
POOL, NO_POOL, SHIPPED = "ganmc fit, pool and cached logits", "ganmc fit, no pool or cache", "ganmc fit"
REAL, LOOP, USUAL, OTHER = "ganmc fit, p_fake 0", "loop, same tricks", "loop, usual style", "torchdistill, p_fake 0"


def measure(checkout: Checkout, rates: Rates, budget: Budget, names: list[str] | None, quick: bool) -> list[Row]:
    """Measure the chosen pairs; a trial omits torchdistill and is limited to one pair."""
    chosen = [pair for pair in PAIRS if names is None or pair.name in names][: 1 if quick else None]
    python = None if quick else torchdistill_environment.create(checkout.folder)
    rows = []
    for pair in chosen:
        rows += _measure_pair(pair, checkout, rates, budget, python)
    return rows


def _measure_pair(pair: Pair, checkout: Checkout, rates: Rates, budget: Budget, python: str | None) -> list[Row]:
    config = checkout.config(pair.config)
    if pair.distills:
        fits = {POOL: pooled(config), NO_POOL: unpooled(config)}
        if python is not None:
            fits[REAL] = real_only(config)
    else:
        fits = {SHIPPED: config}
    with ExitStack() as stack:
        workers, infos = start_fits(fits, checkout, stack)
        fastest = next(iter(fits))
        precision = infos[fastest]["precision"]
        loops = {
            LOOP: ("loop.py", fits[fastest], None),
            USUAL: ("loop.py", fits[fastest], None),
            OTHER: ("torchdistill_worker.py", fits.get(REAL), python),
        }
        for name, (script, loop_config, interpreter) in loops.items():
            if name == OTHER and (REAL not in fits or interpreter is None):
                continue
            worker = _worker(script, checkout, interpreter, stack)
            file = checkout.write(f"loop-{len(workers)}", loop_config or {})
            infos[name] = worker.ask(**loop_request(pair, checkout, file, precision, usual=name == USUAL))
            workers[name] = worker
        timings = alternate(workers, budget)
        memory = {name: worker.stop() for name, worker in workers.items()}
    return _rows(pair, config["data"]["batch_size"], timings, memory, infos, rates)


def start_fits(
    configs: dict[str, dict[str, Any]], checkout: Checkout, stack: ExitStack
) -> tuple[dict[str, Worker], dict[str, dict[str, Any]]]:
    """Start ``ganmc fit`` for each configuration; return workers before their first step, and their first replies."""
    workers = {name: stack.enter_context(checkout.worker()) for name in configs}
    for k, (name, worker) in enumerate(workers.items()):
        file = checkout.write_timed(f"fit-{k}", configs[name])
        shutil.rmtree(checkout.folder / "timed" / file.stem, ignore_errors=True)
        worker.send(arguments=["fit", "--config", str(file)])
    for worker in workers.values():
        worker.receive()  # imports are finished
    return workers, {name: worker.receive() for name, worker in workers.items()}


def _worker(script: str, checkout: Checkout, python: str | None, stack: ExitStack) -> Worker:
    interpreter = {} if python is None else {"python": python}
    worker = stack.enter_context(Worker(script, checkout.folder, **interpreter))
    worker.receive()
    return worker


def loop_request(pair: Pair, checkout: Checkout, file: Path, precision: str, usual: bool) -> dict[str, Any]:
    """Return the request for a hand-written loop of a configuration."""
    return {
        "config": str(file),
        "precision": precision,
        "usual": usual,
        "data": None if pair.data is None else str(checkout.folder / "data" / f"{pair.data}.npz"),
        "train_size": pair.train_size,
        "classes": CLASSES,
    }


def _rows(
    pair: Pair,
    batch_size: int,
    timings: dict[str, Timing],
    memory: dict[str, float | None],
    infos: dict[str, dict[str, Any]],
    rates: Rates,
) -> list[Row]:
    fastest = next(iter(timings))
    precision = infos[fastest]["precision"]
    details = {"pair": pair.name, "precision": precision, "batch_size": batch_size}
    rows = [
        throughput(f"{pair.name}: {name}", timing, batch_size, contender=name, memory_mib=memory[name], **details)
        for name, timing in timings.items()
    ]
    fit = timings[fastest]
    rows.append(speedup(f"{pair.name}: ratio to the loop with the same tricks", timings[LOOP], fit, pair.target))
    rows.append(speedup(f"{pair.name}: ratio to the loop in the usual style", timings[USUAL], fit))
    if NO_POOL in timings:
        rows.append(speedup(f"{pair.name}: ratio of pool and cache to neither", timings[NO_POOL], fit))
    if OTHER in timings:
        rows.append(speedup(f"{pair.name}: ratio to torchdistill, p_fake 0", timings[OTHER], timings[REAL]))
    floor = rates.floor(precision, infos[LOOP]["flops"], infos[LOOP]["parameters"])
    rows.append(row(f"{pair.name}: share of the device's floor", floor / fit.median))
    return rows
