"""SIGTERM to one of two gloo processes on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = Path(__file__).with_name("two_processes.py")


def test_both_processes_stop_at_the_step_of_the_last_checkpoint(tmp_path: Path, data_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(data_root / "tiny.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=1200,  # for a deadlock, not for a slow machine
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = [int((tmp_path / f"rank{rank}").read_text()) for rank in (0, 1)]
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert steps == [last["global_step"]] * 2
    assert 3 < steps[0] < 4 * 18  # of 108 samples, two shares, three a batch
