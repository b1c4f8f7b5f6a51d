"""Commands that write into a folder that another process uses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganmc_lightning.modules import ClassifierModule

HOLD = """
import sys
from pathlib import Path
from ganmc_lightning.io.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1]), "--out"):
    print("locked", flush=True)
    sys.stdin.read()
"""
FOREST = "data: {dataset: ganmc_lightning.data.datasets.BreastCancer}\n"
EXPERIMENT = """
experiment: tiny
title: A tiny experiment
seeds: [0]
stages: {teacher: {config: teacher.yaml}}
report: {rows: [{name: teacher, stage: teacher}]}
"""


@pytest.fixture
def used(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder that another process has locked, and the number of the process."""
    folder = tmp_path / "used" / "tiny"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield folder, process.pid
        process.kill()


@pytest.mark.parametrize(
    "command", ["fit", "test", "predict", "export", "card", "evaluate", "profile", "compress", "forest", "reproduce"]
)
def test_refused(
    ganmc: Any, configs: Any, trained: Any, data_root: Path, used: tuple[Path, int], tmp_path: Path, command: str
) -> None:
    folder, process = used
    (tmp_path / "forest.yaml").write_text(FOREST)
    (tmp_path / "tiny.experiment.yaml").write_text(EXPERIMENT)
    root = ["--config", configs.teacher, "--trainer.default_root_dir", folder]
    tiny = data_root / "tiny.npz"
    arguments = {
        "fit": root,
        "test": [*root, "--ckpt_path", trained.teacher_checkpoint],
        "predict": [*root, "--ckpt_path", trained.teacher_checkpoint],
        "export": [trained.teacher_checkpoint, "--out", folder],
        "card": [trained.teacher, "--out", folder],
        "evaluate": [trained.generator_checkpoint, "--data", tiny, "--out", folder],
        "profile": [f"gan={trained.generator_checkpoint}", "--out", folder],
        "compress": [tiny, "--teacher", trained.teacher_checkpoint, "--out", folder],
        "forest": ["--config", tmp_path / "forest.yaml", "--out", folder],
        "reproduce": [tmp_path / "tiny.experiment.yaml", "--out", folder.parent],
    }[command]
    before = sorted(folder.rglob("*"))
    done = ganmc(command, *arguments)
    option = "trainer.default_root_dir" if command in ("fit", "test", "predict") else "--out"
    assert done.status == 2
    assert done.err == (
        f"ganmc: {option}: {folder} is in use by process {process}; wait until it has ended, or choose another folder\n"
    )
    assert sorted(folder.rglob("*")) == before


def test_export_of_a_forest(ganmc: Any, used: tuple[Path, int], tmp_path: Path) -> None:
    """Both folders of the command are locked, and released if one is in use."""
    (tmp_path / "forest.yaml").write_text(FOREST)
    done = ganmc("forest", "--config", tmp_path / "forest.yaml", "--out", tmp_path / "free", "--export", used[0])
    assert done.err.startswith(f"ganmc: --export: {used[0]} is in use by process {used[1]};")
    assert not (tmp_path / "free").exists()


def test_the_same_fit_command_resumes_a_run(
    ganmc: Any, configs: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step is left to train."""
    arguments = ["fit", "--config", configs.teacher]
    folder = tmp_path / "runs" / "teacher"
    assert ganmc(*arguments).status == 0
    (folder / "result.json").unlink()  # an interrupted run has a checkpoint and no result
    text = (folder / "config.yaml").read_text()
    monkeypatch.setattr(ClassifierModule, "training_step", lambda *_: pytest.fail("trained again"))
    done = ganmc(*arguments)
    assert done.status == 0, done.err
    assert json.loads((folder / "result.json").read_text())["steps"] > 0
    assert (folder / "config.yaml").read_text() == text
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
