"""Times of NIN -> LeNet, L2, in this version and in an older commit.

``python -m benchmarks --only baseline --baseline COMMIT`` checks the commit out in a temporary git worktree and trains
its own configuration with its own code, in rounds that alternate with those of this version. The older configuration
mixes whole batches with probability ``p_fake``; here each of its batches has the exact share, which costs as much on
average and varies less.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.rounds import ROOT, Budget, Timing, alternate
from benchmarks.rows import Row, row, speedup, throughput
from benchmarks.shipped import POOL_SIZE, TRAIN_SIZES, Checkout, pooled, real_only, unpooled, with_trainer
from benchmarks.training import NIN, start_fits

MEASURED = 0.8  # p_fake of the configuration
OLDER, OLDER_REAL, REAL = "older version", "older version, p_fake 0", "p_fake 0"
PRECISIONS = {"bf16-mixed": ">= 5", "32-true": None}  # with the target of the sweep
SWEEP = (0.0, 0.2, 0.5, 0.8, 1.0)
SEEDS = 3
TRAIN_SIZE = 45_000  # of CIFAR-10
TARGETS = {  # by pool and precision
    (True, "bf16-mixed"): ">= 9",
    (True, "32-true"): ">= 4",
    (False, "bf16-mixed"): ">= 2.4",
    (False, "32-true"): ">= 1.2",
}


def measure(checkout: Checkout, commit: str, budget: Budget) -> list[Row]:
    """Measure steps of both versions with p_fake 0.8 and 0, and compute the duration of a sweep over p_fake."""
    config = checkout.config(NIN.config)
    new = {f"{REAL}, {precision}": with_trainer(real_only(config), precision=precision) for precision in PRECISIONS}
    for pool, precision in TARGETS:
        variant = pooled(config) if pool else unpooled(config)
        new[_name(pool, precision)] = with_trainer(variant, precision=precision)
    with older_version(checkout, commit) as older, ExitStack() as stack:
        mixed = older.config(NIN.config)
        mixed["data"]["mix"] = "sample"
        old = {OLDER: mixed, OLDER_REAL: real_only(mixed)}
        workers, preparation = {}, {}
        for version, configs in ((checkout, new), (older, old)):
            for name, variant in configs.items():  # one after another, because their preparation is timed
                workers[name] = stack.enter_context(version.worker())
                workers[name].receive()
                (reply,) = start_fits({name: workers[name]}, {name: variant}, version).values()
                preparation[name] = reply["preparation"]
        timings = alternate(workers, budget)
    batch_size = config["data"]["batch_size"]
    rows = [throughput(f"{NIN.name}: {name}", timing, batch_size) for name, timing in timings.items()]
    for (pool, precision), target in TARGETS.items():
        name = _name(pool, precision)
        rows.append(speedup(f"{NIN.name}: {name}, over {commit}", timings[OLDER], timings[name], target))
    for precision, target in PRECISIONS.items():
        ratio = _sweep_ratio(config, timings, preparation, precision)
        name = f"{NIN.name}: sweep of p_fake, {SEEDS} seeds, filling included, {precision}, over {commit} (computed)"
        rows.append(row(name, ratio, "x", target))
    return rows


def _sweep_ratio(
    config: dict[str, Any], timings: Mapping[str, Timing], preparation: Mapping[str, float], precision: str
) -> float:
    """Compute the ratio of training times from measured steps, filled pools and cached logits.

    The duration of a step is linear in ``p_fake``. A pool that is never refreshed is filled once for all runs.
    """
    epochs, batch_size = config["trainer"]["max_epochs"], config["data"]["batch_size"]
    steps = epochs * (TRAIN_SIZE // batch_size)
    pool_name, real_name = _name(True, precision), f"{REAL}, {precision}"
    logits = preparation[real_name] * TRAIN_SIZE / TRAIN_SIZES[str(NIN.data)]
    fill_one = max(0.0, preparation[pool_name] - preparation[real_name]) / POOL_SIZE
    pool = config["data"]["synthesizer"]["init_args"]
    filled = pool.get("size", 50_000) * (1 + pool.get("refresh", 0.25) * (epochs - 1))
    runs_with_pool = 1 if pool.get("refresh", 0.25) == 0 else SEEDS * sum(p > 0 for p in SWEEP)

    def step(p_fake: float, mixed: str, real: str) -> float:
        return timings[real].median + p_fake / MEASURED * (timings[mixed].median - timings[real].median)

    older = SEEDS * sum(steps * step(p, OLDER, OLDER_REAL) for p in SWEEP)
    newer = SEEDS * sum(steps * step(p, pool_name, real_name) + (p < 1) * logits for p in SWEEP)
    return older / (newer + runs_with_pool * filled * fill_one)


def _name(pool: bool, precision: str) -> str:
    return f"{'pool' if pool else 'no pool'}, {precision}"


@contextmanager
def older_version(checkout: Checkout, commit: str) -> Iterator[Checkout]:
    """Check an older commit out, and train the networks that its configuration loads for one step."""
    folder = checkout.folder / "older"
    subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", str(folder / "source"), commit], cwd=ROOT, check=True
    )
    try:
        older = Checkout(folder, folder / "source")
        older.prepare(NIN.networks)
        yield older
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(folder / "source")], cwd=ROOT, check=True)
        shutil.rmtree(folder, ignore_errors=True)
