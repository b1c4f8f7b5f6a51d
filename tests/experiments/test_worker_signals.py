"""Worker processes end with the process that started them, and their runs save a checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("worker_commands.py")


def wait_for(condition, process=None):
    """Wait for a condition, up to five minutes since the machine may be loaded."""
    for _ in range(6000):
        if condition():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("timed out")


def is_alive(process):
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_interrupted_process_ends_its_workers(tmp_path, number, status):
    """Only the parent process receives the signal, as from `kill` and schedulers."""
    command = [sys.executable, str(SCRIPT), str(tmp_path)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0"}  # otherwise each worker imports PyTorch to count the GPUs
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        marks = [tmp_path / name / "process" for name in ("a", "b")]
        wait_for(lambda: all(mark.exists() and mark.read_text() for mark in marks), process)
        workers = [int(mark.read_text()) for mark in marks]
        assert all(map(is_alive, workers))
        process.send_signal(number)
        wait_for(lambda: not any(map(is_alive, workers)))
        _, error = process.communicate()
    assert process.returncode == status
    assert all((mark.parent / "saved").exists() for mark in marks)
    if number != signal.SIGKILL:
        lines = error.splitlines()
        assert [line.partition(" (")[0] for line in lines] == [
            "interrupted in stage 'a', seed 0",
            "interrupted in stage 'b', seed 0",
        ]
        assert all(line.endswith("; run the same command to continue") for line in lines)
