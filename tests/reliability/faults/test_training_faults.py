"""Faults of disk, memory, device, clock and numbers during a training: one line, and only the last steps are lost.

Each case disturbs a training at a random moment, checks exit code, message and files, repeats the command, and compares
the result with that of an undisturbed run, bit for bit.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganmc_lightning.cli import main
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer

pytestmark = pytest.mark.slow
STEPS = 24  # of a training: 6 epochs of 4 steps


def test_full_disk(bench: Any, reference: Path, cases: Callable[[int], int]) -> None:
    rng, page = random.Random(0), 4096
    pages = sum(-(-path.stat().st_size // page) + 1 for path in reference.rglob("*") if path.is_file())
    for case in range(cases(60)):
        disk = bench.folder / f"disk{case}"
        with bench.tmpfs(disk, str(page * rng.randint(2, pages))) as remount:
            status, lines = bench.fit(disk / "run")
            bench.counts["cases"] += 1
            if status:
                bench.counts["disk was full"] += 1
                bench.check_failure(disk / "run", status, lines, "No space left on device")
                remount("size=50m")
                assert bench.fit(disk / "run")[0] == 0
            bench.assert_equal(disk / "run", reference)
            bench.counts["equal to the undisturbed run"] += 1


def test_file_system_becomes_read_only(bench: Any, reference: Path, cases: Callable[[int], int]) -> None:
    rng = random.Random(1)
    for case in range(cases(60)):
        disk = bench.folder / f"disk{case}"
        with bench.tmpfs(disk, "50m"), pytest.MonkeyPatch.context() as patch:
            bench.at_step(patch, rng.randint(1, STEPS), lambda _, disk=disk: bench.make_read_only(disk))
            status, lines = bench.fit(disk / "run")
            bench.check_failure(disk / "run", status, lines, "Read-only file system")
            assert bench.fit(disk / "run")[0] == 2  # found before the work
            patch.undo()
            subprocess.run(["umount", disk], check=True)
            assert bench.fit(disk / "run")[0] == 0
            bench.assert_equal(disk / "run", reference)
        bench.counts.update(["cases", "equal to the undisturbed run"])


FAILURES: dict[str, BaseException] = {
    "out of memory (Unable": MemoryError("Unable to allocate 9 TiB"),
    "out of memory ([enforce": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "out of memory (CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "the device failed (CUDA": RuntimeError("CUDA error: unspecified launch failure\nmore lines"),
    "the device failed (NCCL": RuntimeError("NCCL error: unhandled system error"),
}


def test_memory_and_device(bench: Any, reference: Path, cases: Callable[[int], int]) -> None:
    rng = random.Random(2)

    def fail(error: BaseException) -> Callable[[Any], None]:
        def raise_error(module: Any) -> None:
            raise error

        return raise_error

    for case in range(cases(60)):
        run, (text, error) = bench.folder / f"run{case}", rng.choice([*FAILURES.items()])
        with pytest.MonkeyPatch.context() as patch:
            bench.at_step(patch, rng.randint(1, STEPS), fail(error))
            status, lines = bench.fit(run)
        bench.check_failure(run, status, lines, text)
        assert bench.fit(run)[0] == 0
        bench.assert_equal(run, reference)
        bench.counts.update(["cases", "equal to the undisturbed run"])


def test_nan(bench: Any, reference: Path, cases: Callable[[int], int]) -> None:
    """A weight becomes NaN or infinite; the checkpoint keeps the last good state."""
    rng = random.Random(3)

    def poison(module: Any) -> None:
        weight = rng.choice(list(module.network.parameters()))
        with torch.no_grad():
            weight.view(-1)[rng.randrange(weight.numel())] = rng.choice([float("nan"), float("inf")])

    for case in range(cases(60)):
        run = bench.folder / f"run{case}"
        with pytest.MonkeyPatch.context() as patch:
            bench.at_step(patch, rng.randint(1, STEPS), poison)
            status, lines = bench.fit(run)
        bench.check_failure(run, status, lines, "ClassifierModule diverged, detected at step")
        assert bench.fit(run)[0] == 0
        bench.assert_equal(run, reference)
        bench.counts.update(["cases", "equal to the undisturbed run"])


def test_clock(bench: Any, reference: Path, cases: Callable[[int], int]) -> None:
    """The clock jumps at a random step, and the files get arbitrary times."""
    rng, now = random.Random(4), time.time
    for case in range(cases(60)):
        run, jump = bench.folder / f"run{case}", rng.uniform(-1e6, 1e6)
        with pytest.MonkeyPatch.context() as patch:
            bench.at_step(
                patch, rng.randint(1, STEPS), lambda _, p=patch, j=jump: p.setattr(time, "time", lambda: now() + j)
            )
            assert bench.fit(run)[0] == 0
        bench.assert_equal(run, reference)
        for path in run.rglob("*"):
            os.utime(path, (0, now() + rng.uniform(-1e6, 1e6)))
        before = (run / "result.json").read_bytes()
        bench.capfd.readouterr()
        command = ["fit", "--config", bench.config, "--trainer.default_root_dir", run]
        assert main([str(word) for word in command]) == 0
        assert "already finished" in bench.capfd.readouterr().out
        assert (run / "result.json").read_bytes() == before
        bench.counts.update(["cases", "equal to the undisturbed run"])


def test_pool_changes(bench: Any, cases: Callable[[int], int]) -> None:
    """A file of a shared pool is truncated or overwritten between two draws."""
    rng, pool = random.Random(5), ["--config", bench.folder / "pool.yaml"]
    for case in range(cases(30)):
        shutil.rmtree(bench.folder / "pool", ignore_errors=True)
        run, draw, count = bench.folder / f"run{case}", rng.randint(2, STEPS), [0]
        sample = PooledSynthesizer.sample_with_logits

        def change(self: Any, *arguments: Any, draw: int = draw, count: list[int] = count, sample: Any = sample) -> Any:
            count[0] += 1
            if count[0] == draw:
                file = rng.choice(sorted((bench.folder / "pool").glob("*/*.npy")))
                os.truncate(file, rng.choice([0, 100, file.stat().st_size // 2]))
            return sample(self, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PooledSynthesizer, "sample_with_logits", change)
            status, lines = bench.fit(run, *pool)
        bench.check_failure(run, status, lines, "during the run; delete")
        shutil.rmtree(bench.folder / "pool")
        assert bench.fit(run, *pool)[0] == 0
        bench.counts.update(["cases"])
