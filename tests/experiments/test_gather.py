from __future__ import annotations

import json
import math

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.gather import latest_sample_grid, read_curves, read_result
from ganmc_lightning.experiments.planning import PlannedRun


def run_in(folder, content):
    (folder / "result.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return PlannedRun("alone", 3, folder, "key", {}, (), None)


def test_curves_are_means_of_the_filled_cells_of_each_epoch(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text(
        "epoch,step,train/loss,val/accuracy\n0,1,4.0,\n0,2,2.0,\n0,2,,0.5\n,3,9.0,\n1,4,1.0,nan\n1.0,5,2.0,\n2,6"
    )
    curves = read_curves(file)
    assert curves["train/loss"] == {0: 3.0, 1: 1.5}
    assert curves["val/accuracy"][0] == 0.5
    assert math.isnan(curves["val/accuracy"][1])
    assert set(curves) == {"train/loss", "val/accuracy"}


def test_no_metrics_file_means_no_curves(tmp_path):
    assert read_curves(tmp_path / "metrics.csv") == {}


def test_a_result(tmp_path):
    content = {
        "validation": {"val/accuracy": 0.97},
        "test": {"test/accuracy": None},
        "iterations": 2500,
        "seconds": 1.5,
        "flops": None,
    }
    result = read_result(run_in(tmp_path, content))
    assert result.value("validation", "accuracy") == 0.97
    assert math.isnan(result.value("test", "accuracy"))
    assert (result.iterations, result.seconds, result.parameters, result.flops) == (2500, 1.5, None, None)


def test_errors_and_costs_are_metrics_too(tmp_path):
    content = {"validation": {"val/accuracy": 0.97}, "test": {"test/accuracy": 0.9}, "parameters": 120, "seconds": 1}
    result = read_result(run_in(tmp_path, content))
    assert result.value("validation", "error") == pytest.approx(0.03, rel=1e-9, abs=1e-10)
    assert result.value("test", "error") == pytest.approx(0.1, rel=1e-9, abs=1e-10)
    assert result.value("test", "parameters") == 120
    assert not result.has("test", "flops")


def test_a_metric_of_the_runs_own_comes_first(tmp_path):
    content = {"test": {"test/accuracy": 0.9, "test/error": 3.0, "test/parameters": 7}, "parameters": 120, "seconds": 1}
    result = read_result(run_in(tmp_path, content))
    assert result.value("test", "error") == 3
    assert result.value("test", "parameters") == 7
    with pytest.raises(ConfigurationError, match="no 'val/error'"):
        result.value("validation", "error")


def test_a_missing_metric_says_which_there_are(tmp_path):
    result = read_result(run_in(tmp_path, {"validation": {"val/fid": 3.0, "val/kid": 1.0}, "seconds": 1}))
    with pytest.raises(ConfigurationError, match=r"no 'val/accuracy' \(it has: val/fid, val/kid\)"):
        result.value("validation", "accuracy")
    with pytest.raises(ConfigurationError, match=r"no 'test/fid' \(it has: none\)"):
        result.value("test", "fid")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON object"),
        ({"validation": [1]}, "'validation' must map"),
        ({"test": {"test/a": True}}, r"'test.test/a' must be a number"),
        ({"iterations": "many"}, "'iterations' must be a number"),
    ],
)
def test_a_malformed_result_names_file_and_key(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_result(run_in(tmp_path, content))
    assert "result.json" in str(caught.value)


def test_the_latest_grid(tmp_path):
    assert latest_sample_grid(tmp_path) is None
    (tmp_path / "samples").mkdir()
    for epoch in (2, 10, 9):
        (tmp_path / "samples" / f"epoch_{epoch:04d}.png").touch()
    assert latest_sample_grid(tmp_path).name == "epoch_0010.png"
