"""A tiny experiment that is disturbed, and the figures of all faults in one file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from ganmc_lightning.cli import main
from ganmc_lightning.modules import ClassifierModule

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

    @staticmethod
    def assert_equal(run: Path, reference: Path) -> None:
        for name in ("best.ckpt", "last.ckpt"):
            actual, expected = (torch.load(f / "checkpoints" / name, weights_only=True) for f in (run, reference))
            assert actual["iteration"] == expected["iteration"]
            for key, value in expected["state_dict"].items():
                assert torch.equal(actual["state_dict"][key], value), (name, key)
        metrics, expected = (json.loads((f / "result.json").read_text())["metrics"] for f in (run, reference))
        assert metrics == expected

    @staticmethod
    @contextmanager
    def tmpfs(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
        """Mount a file system; yield a function that changes its options. Skip the test without the permission."""
        folder.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "x", folder]).returncode:
            pytest.skip("cannot mount a file system")
        try:
            yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True) and None
        finally:
            while folder.is_mount():
                subprocess.run(["umount", folder], check=True)

    @staticmethod
    def make_read_only(folder: Path) -> None:
        """Mount a folder read-only over itself, although its lock is open for writing; `umount` ends this."""
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

    @staticmethod
    def at_step(patch: pytest.MonkeyPatch, step: int, action: Callable[[Any], None], run: int = 1) -> None:
        """Call a function of the module before one training step of one run of this process, both counted from 1."""
        training_step, started = ClassifierModule.training_step, [0]

        def act(module: Any, *arguments: Any) -> Any:
            started[0] += module.iteration == 1
            if module.iteration == step and started[0] == run:
                action(module)
            return training_step(module, *arguments)

        patch.setattr(ClassifierModule, "training_step", act)


def all_finite(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    return all(map(all_finite, value)) if isinstance(value, list | tuple) else True


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
