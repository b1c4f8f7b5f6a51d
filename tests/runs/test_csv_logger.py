from __future__ import annotations

import fcntl
import io
import os
from pathlib import Path
from typing import IO, Any

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.runs import csv_logger
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.runs.metrics_csv import read_metrics


def rows(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """(step, values) of each row of the file."""
    table = [{name: float(cell) for name, cell in row.items()} for row in read_metrics(folder / "metrics.csv")]
    return [(int(row.pop("step")), row) for row in table]


def session(folder: Path, *logged: tuple[int, dict[str, float]]) -> None:
    logger = ResumableCSVLogger(str(folder))
    for step, metrics in logged:
        logger.log_metrics(metrics, step)
    logger.finalize("success")


def test_round_trip(tmp_path: Path) -> None:
    logged = [(0, {"epoch": 0, "loss": 0.1}), (3, {"epoch": 0, "accuracy": 1 / 3}), (3, {"epoch": 0, "loss": 1e-9})]
    session(tmp_path, *logged)
    assert rows(tmp_path) == logged
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == "epoch,step,accuracy,loss"


def test_a_resumed_run_keeps_the_rows_up_to_its_checkpoint(tmp_path: Path) -> None:
    past = [(1, {"loss": 1.0}), (2, {"loss": 2.0}), (2, {"accuracy": 0.5})]
    session(tmp_path, *past, (3, {"loss": 99.0}), (4, {"loss": 99.0}))
    session(tmp_path, (3, {"loss": 3.0}), (5, {"loss": 5.0}))
    assert rows(tmp_path) == [*past, (3, {"loss": 3.0}), (5, {"loss": 5.0})]


def test_a_row_that_is_logged_again_replaces_the_old_one(tmp_path: Path) -> None:
    """A run resumed after a validation ends its epoch again, at the step of that validation."""
    session(tmp_path, (2, {"accuracy": 0.5}), (2, {"loss": 99.0}), (3, {"loss": 99.0}))
    session(tmp_path, (2, {"loss": 2.0}), (3, {"loss": 3.0}))
    assert rows(tmp_path) == [(2, {"accuracy": 0.5}), (2, {"loss": 2.0}), (3, {"loss": 3.0})]


def test_rows_are_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is rewritten for new columns only."""
    logger = ResumableCSVLogger(str(tmp_path))
    logger.save()
    assert not (tmp_path / "metrics.csv").exists()  # no rows yet
    logger.log_metrics({"loss": 1.0}, 0)
    logger.log_metrics({"accuracy": 0.5}, 0)
    monkeypatch.setattr(csv_logger, "atomic_write", None)
    logged = [(0, {"loss": 1.0}), (0, {"accuracy": 0.5})]
    for step in range(1, 4):
        logger.log_metrics({"loss": 1.0 / step}, step)
        logged.append((step, {"loss": 1.0 / step}))
        assert rows(tmp_path) == logged
    logger.save()


def test_an_incomplete_last_line_is_dropped(tmp_path: Path) -> None:
    """Its process was killed while writing it; 0.12 may be the start of 0.1234."""
    session(tmp_path, (0, {"loss": 1.0}), (1, {"loss": 2.0}))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write(",2,0.12")
    assert rows(tmp_path) == [(0, {"loss": 1.0}), (1, {"loss": 2.0})]
    session(tmp_path, (2, {"loss": 3.0}))
    assert rows(tmp_path) == [(0, {"loss": 1.0}), (1, {"loss": 2.0}), (2, {"loss": 3.0})]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(csv_logger, "atomic_write", full)
    with pytest.raises(ConfigurationError, match=r"metrics\.csv: cannot be written \(No space left on device\)"):
        session(tmp_path, (0, {"loss": 1.0}))


def test_a_session_without_rows_leaves_the_file(tmp_path: Path) -> None:
    session(tmp_path, (0, {"loss": 1.0}))
    session(tmp_path)
    assert rows(tmp_path) == [(0, {"loss": 1.0})]


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.csv") == []


def test_line_ends_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, text files without ``newline`` have two characters at the end of a line, as rows of CSV files do."""

    def open_file(path: Path, mode: str = "r", newline: str | None = None, **arguments: Any) -> IO[Any]:
        newline = "\r\n" if newline is None and "w" in mode and "b" not in mode else newline
        return io.open(path, mode, newline=newline, **arguments)  # noqa: UP020 - Path.open is replaced

    monkeypatch.setattr(Path, "open", open_file)
    session(tmp_path, (1, {"loss": 1.0}))
    assert (tmp_path / "metrics.csv").read_bytes() == b"epoch,step,loss\r\n,1,1.0\r\n"


def test_the_file_is_synchronized_by_a_writable_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses one that is open for reading only."""
    logger = ResumableCSVLogger(str(tmp_path))
    logger.log_metrics({"loss": 1.0}, 0)
    modes = []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    logger.save()
    assert modes == [os.O_RDWR]
    assert rows(tmp_path) == [(0, {"loss": 1.0})]
