"""Faults during an experiment: data that change, workers that are killed, a stage that does not fit into memory."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganmc_lightning.cli import main

pytestmark = pytest.mark.slow
STEPS = 24  # of a training: 6 epochs of 4 steps


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_data_replaced(bench: Any, cases: Callable[[int], int]) -> None:
    """The data file is replaced or truncated before, during or between the stages of an experiment."""
    rng, file = random.Random(6), bench.folder / "tiny.experiment.yaml"
    original = bench.data.read_bytes()
    arrays = dict(np.load(bench.data))
    arrays["train_images"][:, 0, 0] //= 2
    for case in range(cases(12)):
        bench.data.write_bytes(original)
        out, truncated = bench.folder / f"out{case}", rng.random() < 0.5

        def replace(module: Any, cut: bool = truncated) -> None:
            np.savez(bench.data, **arrays)
            if cut:
                os.truncate(bench.data, 1000)

        with pytest.MonkeyPatch.context() as patch:
            bench.at_step(patch, rng.randint(1, 18), replace, run=rng.randint(1, 3))  # the student has 18 steps
            bench.capfd.readouterr()
            assert main(["reproduce", str(file), "--out", str(out)]) == 1
            text = " ".join("".join(bench.capfd.readouterr()).split())
        assert "changed since" in text, text
        np.savez(bench.data, **arrays)
        assert bench.run("reproduce", file, "--out", out)[0] == 0
        fresh = bench.folder / "fresh"
        if not fresh.exists():
            assert bench.run("reproduce", file, "--out", fresh)[0] == 0
        for stage in ("teacher", "other", "student"):
            bench.assert_equal(out / "tiny" / stage / "seed0", fresh / "tiny" / stage / "seed0")
        bench.counts.update(["cases", "equal to a run on the new data", "truncated" if truncated else "replaced"])


def test_killed_worker(bench: Any, cases: Callable[[int], int]) -> None:
    """SIGKILL of one of two workers, as by the kernel when memory runs out."""
    rng, reference = random.Random(7), bench.folder / "reference"
    assert bench.reproduce(reference)[0] == 0
    for case in range(max(1, cases(60) // 15)):
        out = bench.folder / f"out{case}"
        with subprocess.Popen(
            bench.reproduction(out, "--jobs", "2"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            while process.poll() is None and len(list(out.glob("tiny/*/seed0/log.txt"))) < 2:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 5))
            workers = children(process.pid)
            victims = [pid for pid in workers if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
            with suppress(ProcessLookupError, IndexError):
                os.kill(rng.choice(victims), signal.SIGKILL)
            output, _ = process.communicate()
        bench.counts["cases"] += 1
        if process.returncode:
            assert "a worker process was killed" in " ".join(output.split()), output
            bench.counts["killed during a stage"] += 1
        deadline = time.monotonic() + 60
        while any(map(is_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(map(is_alive, workers))
        assert bench.reproduce(out, "--jobs", "2")[0] == 0
        for stage in ("teacher", "other", "student"):
            bench.assert_equal(out / "tiny" / stage / "seed0", reference / "tiny" / stage / "seed0")
        bench.counts["equal to the undisturbed run"] += 1
    assert bench.counts["killed during a stage"]


def test_one_of_two_jobs_out_of_memory(bench: Any) -> None:
    """A network too large for any machine; the stage beside it ends."""
    file = bench.folder / "tiny.experiment.yaml"
    text = file.read_text().replace("{data.batch_size: 20}", "{model.network.init_args.hidden: [2000000000000]}")
    file.write_text(text)
    out = bench.folder / "out"
    status, output = bench.reproduce(out, "--jobs", "2", "--keep-going")
    assert status == 1
    assert "stage 'other', seed 0" in " ".join(output.split()), output
    assert "failed: out of memory (" in " ".join(output.split()), output
    assert "Traceback" not in output
    assert (out / "tiny" / "student" / "seed0" / "result.json").is_file()
    bench.counts["cases"] += 1
