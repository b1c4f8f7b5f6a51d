"""A small experiment, and a fake command line that writes the files of `fit` and `test` without training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from matplotlib.image import imsave
from numpy.random import default_rng

EXPERIMENT = """
experiment: tiny
title: "A tiny <experiment> & its report"
seeds: [0, 1, 2]
stages:
  teacher: {config: teacher.yaml, overrides: {trainer.max_epochs: 4}}
  gan: {config: gan.yaml, test: false}
  alone: {config: [student.yaml, more.yaml]}
  mixed_02:
    config: student.yaml
    overrides: {data.p_fake: 0.2, model.teacher.init_args.path: "{teacher}/checkpoints/best.ckpt"}
    needs: [gan]
  mixed_05:
    config: student.yaml
    overrides: {data.p_fake: 0.5, model.teacher.init_args.path: "{teacher}/checkpoints/best.ckpt"}
    needs: [gan]
quick: {trainer.max_epochs: 1}
report:
  rows:
    - {name: "teacher", stage: teacher, paper: 0.781, source: "GAN-MC Table 1", step_budget_group: teacher}
    - {name: "labels only", stage: alone, paper: 0.662, source: "GAN-MC Table 1"}
    - {name: "real + GAN", select_from: [mixed_02, mixed_05], paper: 0.762, source: "GAN-MC Table 1"}
  sweep:
    title: "Accuracy over the share of synthetic samples"
    x_label: p_fake
    x_to_stage: {0.2: mixed_02, 0.5: mixed_05}
    baselines: [alone, teacher]
  learning_curves: {title: "Learning curves", stages: [teacher, alone, mixed_02]}
  sample_grids: [gan]
"""


@dataclass
class FakeCommand:
    """Fake entry point of the command line.

    Attributes:
        calls: every command line, in order.
        scores: stage -> (validation, test) accuracy; every further seed has 0.01 more.
        exit_codes: stage -> exit code of its `fit`, which then leaves a checkpoint but no result.
        test_exit_codes: stage -> exit code of its `test`.
        steps: stage -> optimizer steps.
        raises: exceptions to raise at the n-th call, counted from 0.
    """

    calls: list[list[str]] = field(default_factory=list)
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    exit_codes: dict[str, int] = field(default_factory=dict)
    test_exit_codes: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    raises: dict[int, BaseException] = field(default_factory=dict)

    def __call__(self, argv: list[str]) -> int:
        self.calls.append(argv)
        if len(self.calls) - 1 in self.raises:
            raise self.raises[len(self.calls) - 1]
        return self._fit(argv) if argv[0] == "fit" else self._test(argv)

    @property
    def stages(self) -> list[str]:
        """`fit teacher/seed0`, `test teacher/seed0`, ... of all calls."""
        return [f"{argv[0]} {'/'.join(self._folder(argv).parts[-2:])}" for argv in self.calls]

    @staticmethod
    def _folder(argv: list[str]) -> Path:
        if argv[0] == "fit":
            return Path(argv[argv.index("--trainer.default_root_dir") + 1])
        return Path(argv[argv.index("--config") + 1]).parent

    def _fit(self, argv: list[str]) -> int:
        folder = self._folder(argv)
        stage, seed = folder.parent.name, int(argv[argv.index("--seed_everything") + 1])
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"last")
        if self.exit_codes.get(stage):
            return self.exit_codes[stage]
        (folder / "checkpoints" / "best.ckpt").write_bytes(b"best")
        (folder / "config.yaml").write_text(yaml.safe_dump({"seed_everything": seed}))
        validation = self.scores.get(stage, (0.9, 0.8))[0] + 0.01 * seed
        write_metrics(folder / "metrics.csv", validation, seed)
        if stage == "gan":
            (folder / "samples").mkdir(exist_ok=True)
            pixels = default_rng(seed).random((40, 80))
            imsave(folder / "samples" / "epoch_0009.png", pixels[::-1], cmap="gray")
            imsave(folder / "samples" / "epoch_0010.png", pixels, cmap="gray")
        result = {
            "command": " ".join(argv),
            "metrics": {"val/fid": 20.0} if stage == "gan" else {"val/accuracy": validation},
            "steps": self.steps.get(stage, 2500),
            "train_seconds": 12.3,
            "parameters": 4810,
            "flops": None,
        }
        (folder / "result.json").write_text(json.dumps(result))
        return 0

    def _test(self, argv: list[str]) -> int:
        folder = self._folder(argv)
        stage, seed = folder.parent.name, int(folder.name.removeprefix("seed"))
        if self.test_exit_codes.get(stage):
            return self.test_exit_codes[stage]
        result = json.loads((folder / "result.json").read_text())
        result["metrics"]["test/accuracy"] = self.scores.get(stage, (0.9, 0.8))[1] + 0.01 * seed
        (folder / "result.json").write_text(json.dumps(result))
        return 0


def write_metrics(file: Path, final: float, seed: int, epochs: int = 30) -> None:
    """Write curves that approach `final`, with separate training and validation rows as in CSVLogger."""
    noise = default_rng(seed)
    lines = ["epoch,step,train/loss,val/accuracy,val/cross_entropy"]
    for epoch in range(epochs):
        left = math.exp(-epoch / 6)
        lines.append(f"{epoch},{epoch * 10 + 5},{2 * left + 0.2},,")
        lines.append(f"{epoch},{epoch * 10 + 9},{1.8 * left + 0.2},,")
        accuracy = final * (1 - 0.8 * left) + noise.normal(0, 0.006)
        lines.append(f"{epoch},{epoch * 10 + 9},,{accuracy},{1.5 * left + 0.3 + noise.normal(0, 0.02)}")
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture
def fake() -> FakeCommand:
    return FakeCommand()


@pytest.fixture
def experiment_file(tmp_path: Path) -> Path:
    """The tiny experiment with its configs, in a folder like `configs/<data>/`."""
    folder = tmp_path / "configs" / "toy"
    folder.mkdir(parents=True)
    for name in ("teacher", "gan", "student", "more"):
        (folder / f"{name}.yaml").write_text(f"model: {{name: {name}}}\n")
    file = folder / "tiny.experiment.yaml"
    file.write_text(EXPERIMENT)
    return file


@pytest.fixture
def edited(experiment_file: Path) -> Callable[[str, str], Path]:
    """Replace a part of the text of the tiny experiment."""

    def edit(old: str, new: str) -> Path:
        text = experiment_file.read_text()
        assert text.count(old) == 1, f"{old!r} must stand once in the file"
        experiment_file.write_text(text.replace(old, new))
        return experiment_file

    return edit
