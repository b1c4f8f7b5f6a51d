"""Throughput of ``ganmc fit`` and of other training loops, for six shipped configurations, also in float32.

Loops: with the same mathematics and the same optimizations; in the usual style, with DataLoader workers, transforms of
single images, and generator and teacher in every step; torchdistill for distillation on real images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import torchdistill_environment
from benchmarks.floor import Rates
from benchmarks.rounds import Budget, Timing, Worker, alternate
from benchmarks.rows import Row, row, speedup, throughput
from benchmarks.shipped import CLASSES, ON_GPU, Checkout, pooled, real_only, uncached, unpooled, with_trainer


class Pair(NamedTuple):
    """One shipped configuration.

    Attributes:
        name: name in the results.
        config: path below ``configs``.
        networks: configurations of the networks that it loads.
        data: data set of the images; None if none are read.
        distills: whether it is a distillation on real and generated images.
        train_size: number of training images; None for all.
        target: least ratio of ``ganmc fit`` and the loop with the same optimizations.
    """

    name: str
    config: str
    networks: tuple[str, ...]
    data: str | None
    distills: bool
    train_size: int | None = None
    target: str = ">= 0.90" if ON_GPU else ">= 0.95"


_FASHION = ("fashion_mnist/teacher.yaml", "fashion_mnist/acgan.yaml")
_NIN = ("cifar10/nin.yaml", "cifar10/acgan.yaml")
_RESNET = ("cifar10/resnet18.yaml", "cifar10/acgan.yaml")
LENET4 = Pair("LeNet-4, L2, p_fake 0.5", "fashion_mnist/distillation.yaml", _FASHION, "fashion_mnist", True, 2000)
NIN = Pair("NIN -> LeNet, L2, p_fake 0.8", "cifar10/nin_lenet_l2.yaml", _NIN, "cifar10", True)
PAIRS = (
    LENET4,
    NIN,
    Pair("ResNet-18 -> CNN, KD, p_fake 0.2", "cifar10/resnet18_cnn.yaml", _RESNET, "cifar10", True),
    Pair("ANC, LeNet-4", "fashion_mnist/anc.yaml", ("fashion_mnist/anc_teacher.yaml",), "fashion_mnist", False, 2000),
    Pair("AC-GAN, 32 pixels", "cifar10/acgan.yaml", (), "cifar10", False),
    Pair("W-DCGAN, MSE, 64 pixels", "cifar10/gan_compression_mse.yaml", ("cifar10/dcgan.yaml",), None, False),
)
POOL, NO_POOL, SHIPPED = "ganmc fit, pool and cached logits", "ganmc fit, no pool or cache", "ganmc fit"
REAL, UNCACHED, LOOP, USUAL, OTHER = (
    "ganmc fit, p_fake 0",
    "ganmc fit, p_fake 0, no cache",
    "loop, same optimizations",
    "loop, usual style",
    "torchdistill, p_fake 0",
)


def measure(
    checkout: Checkout,
    rates: Rates,
    budget: Budget,
    pairs: Sequence[Pair],
    compare_others: bool,
    precision: str | None = None,
) -> list[Row]:
    """Measure pairs. On a GPU, all processes are started at once.

    Args:
        checkout: version that is measured, with trained networks.
        rates: measured rates of the device.
        budget: length of the measurement.
        pairs: configurations to measure.
        compare_others: whether torchdistill is measured too.
        precision: precision of all implementations; by default that of the configurations.
    """
    python = torchdistill_environment.create(checkout.folder) if compare_others else None
    rows = []
    with ExitStack() as everything:
        started = (_Implementations(pair, checkout, python, precision) for pair in pairs)
        for implementations in [everything.enter_context(each) for each in started] if ON_GPU else started:
            with implementations:
                rows += implementations.measure(rates, budget)
    return rows


class _Implementations(ExitStack):
    """Workers of one pair: ``ganmc fit`` in one or several configurations, and the loops."""

    def __init__(self, pair: Pair, checkout: Checkout, python: str | None, precision: str | None) -> None:
        super().__init__()
        self.pair, self.checkout = pair, checkout
        self.config = config = checkout.config(pair.config)
        if precision is not None:
            self.config = config = with_trainer(config, precision=precision)
        self.fits = {SHIPPED: config}
        if pair.distills:
            self.fits = {POOL: pooled(config), NO_POOL: uncached(unpooled(config))}
        self.workers = {LOOP: Worker("loop.py", checkout.folder), USUAL: Worker("loop.py", checkout.folder)}
        if pair.distills and python is not None:
            self.fits |= {REAL: real_only(config), UNCACHED: uncached(real_only(config))}
            self.workers[OTHER] = Worker("torchdistill_worker.py", checkout.folder, python=python)
        self.workers = {name: checkout.worker() for name in self.fits} | self.workers
        for worker in self.workers.values():
            self.enter_context(worker)

    def measure(self, rates: Rates, budget: Budget) -> list[Row]:
        for worker in self.workers.values():
            worker.receive()  # imports are finished
        infos = start_fits({name: self.workers[name] for name in self.fits}, self.fits, self.checkout)
        fastest = next(iter(self.fits))
        precision = infos[fastest]["precision"]
        for name in self.workers:
            if name not in self.fits:
                file = self.checkout.write("loop", self.fits[REAL if name == OTHER else fastest])
                request = loop_request(self.pair, self.checkout, file, precision, usual=name == USUAL)
                infos[name] = self.workers[name].ask(**request)
        timings = alternate(self.workers, budget)
        memory = {name: worker.stop() for name, worker in self.workers.items()}
        return _rows(self.pair, self.config["data"]["batch_size"], timings, memory, infos, rates)


def start_fits(
    workers: Mapping[str, Worker], configs: Mapping[str, dict[str, Any]], checkout: Checkout
) -> dict[str, dict[str, Any]]:
    """Start ``ganmc fit`` in each worker up to its first step; return the replies."""
    for name, worker in workers.items():
        worker.send(arguments=["fit", "--config", str(checkout.write_timed(configs[name]))])
    return {name: worker.receive() for name, worker in workers.items()}


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
    label = f"{pair.name}, {precision}"
    details = {"pair": pair.name, "precision": precision, "batch_size": batch_size}
    rows = [
        throughput(f"{label}: {name}", timing, batch_size, implementation=name, memory_mib=memory[name], **details)
        for name, timing in timings.items()
    ]
    fit = timings[fastest]
    rows.append(speedup(f"{label}: ratio to the loop with the same optimizations", timings[LOOP], fit, pair.target))
    rows.append(speedup(f"{label}: ratio to the loop in the usual style", timings[USUAL], fit))
    if NO_POOL in timings:
        rows.append(speedup(f"{label}: ratio of pool and cache to neither", timings[NO_POOL], fit))
    if OTHER in timings:
        targets = {REAL: ">= 3", UNCACHED: ">= 2"} if precision == "32-true" else {}
        rows += [
            speedup(f"{label}: ratio of {name} to torchdistill", timings[OTHER], timings[name], targets.get(name))
            for name in (REAL, UNCACHED)
        ]
    floor = rates.floor(precision, infos[LOOP]["flops"], infos[LOOP]["parameters"])
    rows.append(row(f"{label}: share of the device's floor", floor / fit.median))
    return rows
