from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write, check_writable, temporary_path


def test_old_content_stays_until_the_block_ends(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path):
    """The file is replaced atomically."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        with atomic_write(path) as file:
            file.write("new")
        assert reader.read() == "old"


def test_text_is_utf8_in_every_locale(tmp_path):
    path = tmp_path / "a.md"
    with atomic_write(path) as file:
        file.write("±2 € ü")
    assert path.read_bytes() == "±2 € ü".encode()


def test_bytes(tmp_path):
    with atomic_write(tmp_path / "a.bin", "wb") as file:
        file.write(bytes(range(256)))
    assert (tmp_path / "a.bin").read_bytes() == bytes(range(256))


def test_folders_are_made(tmp_path):
    path = tmp_path / "runs" / "seed0" / "a.txt"
    with atomic_write(path) as file:
        file.write("x")
    assert path.read_text() == "x"


def write_half(path, error):
    with atomic_write(path) as file:
        file.write("half of the n")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_changes_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_makes_no_file(tmp_path):
    with pytest.raises(ValueError, match="stop"):
        write_half(tmp_path / "a.txt", ValueError("stop"))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_replaced_leaves_no_litter(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ConfigurationError, match=r"/a: cannot be written \("), atomic_write(tmp_path / "a") as file:
        file.write("x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_kill_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom ganmc_lightning.io.atomic import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as file:\n"
        "    file.write('new' * 10_000)\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_write(path) as file:
        file.write("newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_files_of_others_stay(tmp_path):
    """Of running processes, of other machines, and of other files."""
    path, machine = tmp_path / "a.txt", socket.gethostname()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f".a.txt.{machine}.{os.getppid()}.part", ".a.txt.other.1.part", f".b.txt.{machine}.{ended.pid}.part"]
    for name in [*names, f".a.txt.{machine}.{ended.pid}.part"]:
        (tmp_path / name).touch()
    with atomic_write(path) as file:
        file.write("x")
    assert sorted(other.name for other in tmp_path.iterdir()) == sorted([*names, path.name])


def test_temporary_folders_of_ended_processes_are_deleted(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".small.{socket.gethostname()}.{ended.pid}.part" / "a").mkdir(parents=True)
    assert not temporary_path(tmp_path / "small").exists()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_path_is_one_line_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "below" / "a.txt"
    with pytest.raises(ConfigurationError) as caught, atomic_write(path) as file:
        file.write("x")
    assert str(caught.value) == f"{path}: cannot be written (Not a directory); choose another folder"


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match=r"a\.txt: cannot be written \(No space left .*\); free space$"):
        atomic_write_text(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def atomic_write_text(path):
    with atomic_write(path) as file:
        file.write("new")


def test_errors_of_the_block_are_not_those_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt") as file:
        file.write((tmp_path / "absent").read_text())
    with pytest.raises(OSError, match=r"^unknown format$"), atomic_write(tmp_path / "a.txt"):
        raise OSError("unknown format")


def test_check_writable(tmp_path):
    check_writable(tmp_path / "new" / "below", "--out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"--out: cannot write to .*file/new \(.*file: Not a directory\)"):
        check_writable(tmp_path / "file" / "new", "--out")


@pytest.mark.parametrize("folder", ["/proc", "/proc/1"])
def test_check_writable_of_a_read_only_file_system(folder):
    """Also root cannot write there."""
    if not Path(folder).is_dir():
        pytest.skip("no such file system")
    with pytest.raises(ConfigurationError, match=r"--out: cannot write to "):
        check_writable(Path(folder), "--out")
