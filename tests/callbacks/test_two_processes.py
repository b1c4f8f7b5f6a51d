"""Two gloo processes on the CPU: rank 0 scores the generator while rank 1 waits, without a deadlock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")
NAMES = ("fid", "kid", "inception_score", "precision", "near_duplicate_rate", "laplacian_variance", "compression_score")


def test_scores_do_not_depend_on_the_number_of_processes(tmp_path: Path, data_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(data_root / "tiny.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,  # for a hang, not for a slow machine
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two"))
    assert {f"val/{name}" for name in NAMES} <= set(one)
    assert two == pytest.approx(one, rel=1e-5, abs=1e-6, nan_ok=True)
