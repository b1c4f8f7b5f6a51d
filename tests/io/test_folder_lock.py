from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.folder_lock import LOCK, lock_folder, wait_for_folder

HOLD = """
import sys, time
from pathlib import Path
from ganmc_lightning.io.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1]), "--out"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def locked_by_another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Lock a folder in another process, until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_another_process_is_refused_until_the_first_was_killed(tmp_path: Path) -> None:
    with locked_by_another(tmp_path / "run") as process:
        with pytest.raises(ConfigurationError) as refused, lock_folder(tmp_path / "run", "--out"):
            pass
        assert str(refused.value) == (
            f"--out: {tmp_path / 'run'} is in use by process {process.pid}; wait until it has ended, or choose another "
            "folder"
        )
        process.kill()
        process.wait()
        assert (tmp_path / "run" / LOCK).exists()
        with lock_folder(tmp_path / "run", "--out"):
            pass
    assert list((tmp_path / "run").iterdir()) == []


def test_waits_for_a_process_that_ends(tmp_path: Path) -> None:
    with locked_by_another(tmp_path) as process:
        assert process.stdin is not None
        timer = threading.Timer(0.2, process.stdin.close)
        timer.start()
        wait_for_folder(tmp_path, 60)
        assert process.stdin.closed
        timer.join()
        assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_does_not_wait_without_another_process(tmp_path: Path) -> None:
    wait_for_folder(tmp_path / "absent", 60)
    assert not (tmp_path / "absent").exists()


def lock_in_thread(folder: Path) -> None:
    """Lock and release a folder in another thread; raises its exception."""

    def lock() -> None:
        with lock_folder(folder, "--out"):
            pass

    with ThreadPoolExecutor(1) as executor:
        executor.submit(lock).result()


def test_the_process_of_another_machine_is_named(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "--out"):
        (tmp_path / LOCK).write_text("7\nnode12\n")
        with pytest.raises(ConfigurationError, match="in use by process 7 on node12;"):
            lock_in_thread(tmp_path)


def test_a_nested_lock_of_the_same_thread_does_nothing(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "--out"):
        with lock_folder(tmp_path / "." / "a" / "..", "out"):
            pass
        assert (tmp_path / LOCK).exists()
        with pytest.raises(ConfigurationError, match="in use by process"):
            lock_in_thread(tmp_path)
    lock_in_thread(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_created_folders_are_deleted_if_they_stay_empty(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "runs" / "a", "--out"):
        pass
    assert not (tmp_path / "runs").exists()
    with lock_folder(tmp_path / "runs" / "a", "--out"):
        (tmp_path / "runs" / "b").touch()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["b"]


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "--out"):
        assert (tmp_path / LOCK).read_text().split() == [str(os.getpid()), socket.gethostname()]
    assert list(tmp_path.iterdir()) == []


def test_lock_of_a_folder_that_was_replaced(tmp_path: Path) -> None:
    """The new folder may be locked by another process already."""
    folder = tmp_path / "run"
    with lock_folder(folder, "--out"):
        folder.rename(tmp_path / "old")
        folder.mkdir()
        (folder / LOCK).write_text("7\nnode12\n")
    assert (folder / LOCK).exists()


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(ConfigurationError, match=r"^--out: cannot write to .*run \(.*\); choose another folder$"):  # noqa: SIM117
        with lock_folder(tmp_path / "run", "--out"):
            pass
