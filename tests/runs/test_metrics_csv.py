from __future__ import annotations

import math

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.runs.metrics_csv import read_learning_curves, read_metrics, read_rows_until


def test_curves_are_means_of_the_filled_cells_of_each_epoch(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text(
        "epoch,step,train/loss,val/accuracy\n0,1,4.0,\n0,2,2.0,\n0,2,,0.5\n,3,9.0,\n1,4,1.0,nan\n1.0,5,2.0,\n2,6"
    )
    curves = read_learning_curves(file)
    assert curves["train/loss"] == {0: 3.0, 1: 1.5}
    assert curves["val/accuracy"][0] == 0.5
    assert math.isnan(curves["val/accuracy"][1])
    assert set(curves) == {"train/loss", "val/accuracy"}


def test_cells_that_are_not_numbers_are_skipped(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("epoch,step,loss\n0,1,4.0,5.0\n0,2,x\n")
    assert read_learning_curves(file) == {"loss": {0: 4.0}}


def test_rows_have_no_empty_cells(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("epoch,loss,accuracy\n0,4.0,\n0,,0.5\n")
    assert read_metrics(file) == [{"epoch": "0", "loss": "4.0"}, {"epoch": "0", "accuracy": "0.5"}]


def test_no_file(tmp_path):
    assert read_metrics(tmp_path / "metrics.csv") == []
    assert read_learning_curves(tmp_path / "metrics.csv") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epoch,step\n0,\xff\n", "byte 13 is not UTF-8"),
        (b'epoch,step\n0,"' + b"x" * 200_000 + b"\n", "damaged .field larger than field limit"),
        (b"epoch,step\n0,five\n", "row 1: got step 'five', expected a number"),
        (b"epoch,loss\n0,5\n", "row 1: got step None, expected a number"),
        (b"epoch,step\n0,5,6\n", "row 1: got step '5', expected a number and no cells without a column"),
    ],
)
def test_damaged_file_of_a_resumed_run(tmp_path, content, message):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read_rows_until(path, 10)


def test_rows_of_a_resumed_run(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,loss\n0,1,2.0\n0,3,\n1,7,1.0\n")
    assert read_rows_until(path, 3) == [{"epoch": "0", "step": "1", "loss": "2.0"}, {"epoch": "0", "step": "3"}]
    assert read_rows_until(tmp_path / "missing.csv", 3) == []
