from __future__ import annotations

from pathlib import Path

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


def test_the_file_is_written_with_every_checkpoint(tmp_path: Path) -> None:
    logger = ResumableCSVLogger(str(tmp_path))
    logger.after_save_checkpoint(object())
    assert not (tmp_path / "metrics.csv").exists()  # no rows yet
    logger.log_metrics({"loss": 1.0}, 0)
    assert rows(tmp_path) == []
    logger.after_save_checkpoint(object())
    assert rows(tmp_path) == [(0, {"loss": 1.0})]


def test_a_session_without_rows_leaves_the_file(tmp_path: Path) -> None:
    session(tmp_path, (0, {"loss": 1.0}))
    session(tmp_path)
    assert rows(tmp_path) == [(0, {"loss": 1.0})]


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.csv") == []
