"""Two gloo processes on the CPU: all trained networks stay equal in both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("adversarial_two_processes.py")


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the files of both processes by run."""
    folder = tmp_path_factory.mktemp("ddp")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(data_root / "tiny.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=1200,  # for a hang, not for a slow machine
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        run: [torch.load(folder / f"{run}.rank{rank}.pt", weights_only=True) for rank in range(2)]
        for run in ("adversarial", "hints")
    }


@pytest.mark.parametrize(
    ("run", "parts"),
    [("adversarial", {"student", "discriminator", "projection"}), ("hints", {"student", "loss"})],
)
def test_both_learn_the_same(ends: dict[str, list[dict[str, Any]]], run: str, parts: set[str]) -> None:
    one, other = ends[run]
    assert {name.partition(".")[0] for name in one["end"]} == {"teacher", *parts}
    for name, value in one["end"].items():
        torch.testing.assert_close(value, other["end"][name], rtol=1e-5, atol=1e-6, msg=name)
        moved = not torch.equal(value, one["start"][name])
        assert moved == (name.partition(".")[0] != "teacher"), name
    for end in (one, other):
        assert end["iteration"] == 12  # 108 samples, two shares, nine a batch, two epochs
    scores = [{name: value for name, value in end["metrics"].items() if "val/" in name} for end in (one, other)]
    assert scores[0]
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-5, atol=1e-6)
