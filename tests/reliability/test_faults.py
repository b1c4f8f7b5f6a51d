"""Faults of disk, data, memory, device, clock and processes: one clear line, and nothing but the last steps is lost.

Each case disturbs a run of a tiny experiment at a random moment, checks exit code, message and files, repeats the
command, and compares the result with that of an undisturbed run, bit for bit.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganmc_lightning.cli import main
from ganmc_lightning.modules import ClassifierModule
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer

pytestmark = pytest.mark.slow
STEPS = 24  # of a training: 6 epochs of 4 steps
MODEL = """
trainer: {max_epochs: 6, accelerator: cpu, precision: 32-true, enable_progress_bar: false, enable_model_summary: false}
checkpoint: {monitor: val/accuracy, mode: max}
data:
  dataset: {class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {path: DATA}}
  batch_size: 27
model:
  class_path: ganmc_lightning.modules.ClassifierModule
  init_args:
    network:
      class_path: ganmc_lightning.networks.MLPClassifier
      init_args: {in_features: 64, num_classes: 3, hidden: [64], dropout: 0.2}
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.01}}
"""
POOL = """
data:
  p_fake: 0.5
  synthesizer:
    class_path: ganmc_lightning.synthesizers.PooledSynthesizer
    init_args: {synthesizer: ganmc_lightning.synthesizers.JitterSynthesizer, size: 4096, refresh: 0.0, folder: POOL}
"""
EXPERIMENT = """
experiment: tiny
stages:
  teacher: {config: model.yaml}
  other: {config: model.yaml, overrides: {data.batch_size: 20}}
  student: {config: model.yaml, overrides: {data.batch_size: 30}, needs: [teacher]}
report: {rows: [{name: student, stage: student}]}
"""
FIGURES: dict[str, Any] = {}


class Bench:
    """A folder with configurations and data, and commands in this process."""

    def __init__(self, folder: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capfd, self.counts = folder, capfd, Counter[str]()
        self.data = folder / "rows.npz"
        shutil.copy(data, self.data)
        self.config = folder / "model.yaml"
        self.config.write_text(MODEL.replace("DATA", str(self.data)))
        (folder / "pool.yaml").write_text(POOL.replace("POOL", str(folder / "pool")))
        (folder / "tiny.experiment.yaml").write_text(EXPERIMENT)

    def run(self, *arguments: str | Path) -> tuple[int, list[str]]:
        """Run a command; return its exit code and the lines on stderr."""
        self.capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        return status, self.capfd.readouterr().err.splitlines()

    def fit(self, run: Path, *arguments: str | Path) -> tuple[int, list[str]]:
        """Train, or resume from the last checkpoint."""
        last = run / "checkpoints" / "last.ckpt"
        resume = ["--ckpt_path", last] if last.is_file() else []
        return self.run("fit", "--config", self.config, *arguments, "--trainer.default_root_dir", run, *resume)

    def check_failure(self, run: Path, status: int, lines: list[str], text: str) -> None:
        """Check exit code, message and files of a disturbed run."""
        assert status in (1, 2), lines
        assert len(lines) == 1, lines
        assert lines[0].startswith("ganmc: ")
        assert text in lines[0]
        assert not list(run.rglob("*.part"))
        for path in run.glob("checkpoints/*.ckpt"):
            assert all_finite(torch.load(path, weights_only=True)), path
            self.counts["checkpoints_checked"] += 1
        if (last := run / "checkpoints" / "last.ckpt").is_file():
            assert str(last) in lines[0], lines
            self.counts["checkpoints_named"] += 1

    def reproduce(self, out: Path, *options: str) -> tuple[int, str]:
        """Run the experiment in a new process; return exit code and output."""
        done = subprocess.run(self.reproduction(out, *options), capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def reproduction(self, out: Path, *options: str) -> list[str]:
        file = self.folder / "tiny.experiment.yaml"
        return [sys.executable, "-m", "ganmc_lightning", "reproduce", str(file), "--out", str(out), *options]


def all_finite(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    return all(map(all_finite, value)) if isinstance(value, list | tuple) else True


def assert_equal(run: Path, reference: Path) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        actual, expected = (torch.load(f / "checkpoints" / name, weights_only=True) for f in (run, reference))
        assert actual["iteration"] == expected["iteration"]
        for key, value in expected["state_dict"].items():
            assert torch.equal(actual["state_dict"][key], value), (name, key)
    metrics, expected = (json.loads((f / "result.json").read_text())["metrics"] for f in (run, reference))
    assert metrics == expected


@pytest.fixture
def bench(tmp_path: Path, data_root: Path, capfd: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, data_root / "tiny.npz", capfd)


@pytest.fixture
def reference(bench: Bench) -> Path:
    """An undisturbed run."""
    assert bench.fit(bench.folder / "reference")[0] == 0
    return bench.folder / "reference"


@pytest.fixture(autouse=True)
def record(request: pytest.FixtureRequest, bench: Bench, record_figures: Callable[..., None]) -> Iterator[None]:
    """Add the counts of a test to the figures of all."""
    yield
    FIGURES[request.node.name.removeprefix("test_")] = dict(sorted(bench.counts.items()))
    record_figures("faults", **FIGURES)


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a file system; yield a function that changes its options. Skip the test without the permission."""
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "x", folder]).returncode:
        pytest.skip("cannot mount a file system")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True) and None
    finally:
        subprocess.run(["umount", folder], check=True)


def at_step(patch: pytest.MonkeyPatch, step: int, action: Callable[[Any], None], run: int = 1) -> None:
    """Call a function of the module before one training step of one run of this process, both counted from 1."""
    training_step, started = ClassifierModule.training_step, [0]

    def act(module: Any, *arguments: Any) -> Any:
        started[0] += module.iteration == 1
        if module.iteration == step and started[0] == run:
            action(module)
        return training_step(module, *arguments)

    patch.setattr(ClassifierModule, "training_step", act)


def test_full_disk(bench: Bench, reference: Path, cases: Callable[[int], int]) -> None:
    rng, page = random.Random(0), 4096
    pages = sum(-(-path.stat().st_size // page) + 1 for path in reference.rglob("*") if path.is_file()) + 40
    for case in range(cases(60)):
        disk = bench.folder / f"disk{case}"
        with tmpfs(disk, str(page * rng.randint(2, pages))) as remount:
            status, lines = bench.fit(disk / "run")
            bench.counts["cases"] += 1
            if status:
                bench.counts["disk was full"] += 1
                bench.check_failure(disk / "run", status, lines, "No space left on device")
                remount("size=50m")
                assert bench.fit(disk / "run")[0] == 0
            assert_equal(disk / "run", reference)
            bench.counts["equal to the undisturbed run"] += 1


def test_file_system_becomes_read_only(bench: Bench, reference: Path, cases: Callable[[int], int]) -> None:
    rng = random.Random(1)
    for case in range(cases(60)):
        disk = bench.folder / f"disk{case}"
        with tmpfs(disk, "50m") as remount, pytest.MonkeyPatch.context() as patch:
            at_step(patch, rng.randint(1, STEPS), lambda _, remount=remount: remount("ro"))
            status, lines = bench.fit(disk / "run")
            bench.check_failure(disk / "run", status, lines, "Read-only file system")
            assert bench.fit(disk / "run")[0] == 2  # found before the work
            patch.undo()
            remount("rw")
            assert bench.fit(disk / "run")[0] == 0
            assert_equal(disk / "run", reference)
        bench.counts.update(["cases", "equal to the undisturbed run"])


FAILURES: dict[str, BaseException] = {
    "out of memory (Unable": MemoryError("Unable to allocate 9 TiB"),
    "out of memory ([enforce": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "out of memory (CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "the device failed (CUDA": RuntimeError("CUDA error: unspecified launch failure\nmore lines"),
    "the device failed (NCCL": RuntimeError("NCCL error: unhandled system error"),
}


def test_memory_and_device(bench: Bench, reference: Path, cases: Callable[[int], int]) -> None:
    rng = random.Random(2)

    def fail(error: BaseException) -> Callable[[Any], None]:
        def raise_error(module: Any) -> None:
            raise error

        return raise_error

    for case in range(cases(60)):
        run, (text, error) = bench.folder / f"run{case}", rng.choice([*FAILURES.items()])
        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, rng.randint(1, STEPS), fail(error))
            status, lines = bench.fit(run)
        bench.check_failure(run, status, lines, text)
        assert bench.fit(run)[0] == 0
        assert_equal(run, reference)
        bench.counts.update(["cases", "equal to the undisturbed run"])


def test_nan(bench: Bench, reference: Path, cases: Callable[[int], int]) -> None:
    """A weight becomes NaN or infinite; the checkpoint keeps the last good state."""
    rng = random.Random(3)

    def poison(module: Any) -> None:
        weight = rng.choice(list(module.network.parameters()))
        with torch.no_grad():
            weight.view(-1)[rng.randrange(weight.numel())] = rng.choice([float("nan"), float("inf")])

    for case in range(cases(60)):
        run = bench.folder / f"run{case}"
        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, rng.randint(1, STEPS), poison)
            status, lines = bench.fit(run)
        bench.check_failure(run, status, lines, "ClassifierModule diverged, detected at step")
        assert bench.fit(run)[0] == 0
        assert_equal(run, reference)
        bench.counts.update(["cases", "equal to the undisturbed run"])


def test_clock(bench: Bench, reference: Path, cases: Callable[[int], int]) -> None:
    """The clock jumps at a random step, and the files get arbitrary times."""
    rng, now = random.Random(4), time.time
    for case in range(cases(60)):
        run, jump = bench.folder / f"run{case}", rng.uniform(-1e6, 1e6)
        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, rng.randint(1, STEPS), lambda _, p=patch, j=jump: p.setattr(time, "time", lambda: now() + j))
            assert bench.fit(run)[0] == 0
        assert_equal(run, reference)
        for path in run.rglob("*"):
            os.utime(path, (0, now() + rng.uniform(-1e6, 1e6)))
        before = (run / "result.json").read_bytes()
        bench.capfd.readouterr()
        command = ["fit", "--config", bench.config, "--trainer.default_root_dir", run]
        assert main([str(word) for word in command]) == 0
        assert "already finished" in bench.capfd.readouterr().out
        assert (run / "result.json").read_bytes() == before
        bench.counts.update(["cases", "equal to the undisturbed run"])


def test_pool_changes(bench: Bench, cases: Callable[[int], int]) -> None:
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


def test_data_replaced(bench: Bench, cases: Callable[[int], int]) -> None:
    """The data file is replaced or truncated before, during or between the stages of an experiment."""
    rng, file = random.Random(6), bench.folder / "tiny.experiment.yaml"
    original = bench.data.read_bytes()
    arrays = dict(np.load(bench.data))
    arrays["train_images"][:, 0, 0] //= 2
    for case in range(cases(20)):
        bench.data.write_bytes(original)
        out, truncated = bench.folder / f"out{case}", rng.random() < 0.5

        def replace(module: Any, cut: bool = truncated) -> None:
            np.savez(bench.data, **arrays)
            if cut:
                os.truncate(bench.data, 1000)

        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, rng.randint(1, STEPS), replace, run=rng.randint(1, 3))
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
            assert_equal(out / "tiny" / stage / "seed0", fresh / "tiny" / stage / "seed0")
        bench.counts.update(["cases", "equal to a run on the new data", "truncated" if truncated else "replaced"])


def test_killed_worker(bench: Bench, cases: Callable[[int], int]) -> None:
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
            assert_equal(out / "tiny" / stage / "seed0", reference / "tiny" / stage / "seed0")
        bench.counts["equal to the undisturbed run"] += 1


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_one_of_two_jobs_out_of_memory(bench: Bench) -> None:
    """A network too large for any machine; the stage beside it ends."""
    text = EXPERIMENT.replace("{data.batch_size: 20}", "{model.network.init_args.hidden: [2000000000000]}")
    (bench.folder / "tiny.experiment.yaml").write_text(text)
    out = bench.folder / "out"
    status, output = bench.reproduce(out, "--jobs", "2", "--keep-going")
    assert status == 1
    assert "stage 'other', seed 0" in " ".join(output.split()), output
    assert "failed: out of memory (" in " ".join(output.split()), output
    assert "Traceback" not in output
    assert (out / "tiny" / "student" / "seed0" / "result.json").is_file()
    bench.counts["cases"] += 1
