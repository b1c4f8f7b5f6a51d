"""Worker processes end with the command that started them, and save what they have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("workers_script.py")


def wait_for(condition, process=None):
    """Wait for another process, for as long as a loaded machine may need."""
    for _ in range(6000):
        if condition():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing happened")


def is_alive(process):
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_command_ends_its_workers(tmp_path, number, status):
    """The signal goes to the command alone, as `kill` and schedulers send it."""
    command = [sys.executable, str(SCRIPT), str(tmp_path)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0"}  # said, so that no worker waits for PyTorch to count them
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
        assert error.endswith("interrupted; the same command continues\n")
