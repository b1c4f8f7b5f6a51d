"""A run that is killed while it writes a checkpoint; tests/reliability/test_kills.py kills at random moments."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from ganmc_lightning.runs.metrics_csv import read_metrics

KILLED = """
import os, signal, sys
import torch
from ganmc_lightning.cli import main

save, saved = torch.save, []

def save_half(checkpoint, file):
    saved.append(file.name)
    if sum(".last.ckpt." in name for name in saved) < 3:
        return save(checkpoint, file)
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

torch.save = save_half
main(sys.argv[1:])
"""


def test_the_same_command_ends_as_an_undisturbed_one(configs: Any, ganmc: Any, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "teacher"
    arguments = ["fit", "--config", str(configs.teacher), "--trainer.max_epochs", "4"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    hidden = sorted(path.name.split(".")[1] for path in folder.rglob(".*"))
    assert hidden == ["last", "lock"]
    assert ganmc(*arguments).status == 0
    assert list(folder.rglob(".*")) == []
    assert ganmc(*arguments, "--trainer.default_root_dir", tmp_path / "undisturbed").status == 0
    files = [path / "checkpoints" / "last.ckpt" for path in (folder, tmp_path / "undisturbed")]
    first, second = (torch.load(file, weights_only=True)["state_dict"] for file in files)
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert read_metrics(folder / "metrics.csv") == read_metrics(tmp_path / "undisturbed" / "metrics.csv")
