from __future__ import annotations

import json
import math

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import read_run_result


def read(folder, content):
    path = folder / "result.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_run_result(path)


def test_reading(tmp_path):
    content = {
        "metrics": {"val/accuracy": 0.97, "test/accuracy": None},
        "steps": 2500,
        "train_seconds": 1.5,
        "flops": None,
        "curves": {"real/auc": {"1": 0.5, "20": 1}},
    }
    result = read(tmp_path, content)
    assert result.metrics["val/accuracy"] == 0.97
    assert math.isnan(result.metrics["test/accuracy"])
    assert (result.steps, result.train_seconds, result.parameters, result.flops) == (2500, 1.5, None, None)
    assert result.curves["real/auc"] == {1: 0.5, 20: 1.0}
    assert result.device == "cpu"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ({"metrics": [1]}, r"metrics: got \[1\], expected a mapping"),
        ({"metrics": {"test/a": True}}, "metrics.test/a: got True, expected a number"),
        ({"metrics": {"test/a": "0.5"}}, "metrics.test/a: got '0.5', expected a number"),
        ({"steps": "many"}, "steps: got 'many', expected a whole number"),
        ({"steps": -1}, "steps: got -1, expected 0 or more"),
        ({"curves": {"a": {"x": 1}}}, "curves.a.x: .*integer"),
        ({"validation": {}}, "validation: unexpected key"),
    ],
)
def test_an_invalid_file_is_one_line_with_path_and_key(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'result.json'}: ")
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    assert RunFolder(tmp_path).read_result() is None


def test_update_keeps_other_fields_and_other_splits(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.update_result(steps=3, metrics={"val/accuracy": 0.5, "val/fid": 9.0})
    folder.update_result(metrics={"test/accuracy": 0.25})
    folder.update_result(steps=4, metrics={"val/accuracy": 0.75})
    assert json.loads(folder.result.read_text()) == {
        "format_version": 1,
        "steps": 4,
        "metrics": {"test/accuracy": 0.25, "val/accuracy": 0.75},
    }


def test_nan_and_infinity_are_null_and_are_read_as_nan(tmp_path):
    folder = RunFolder(tmp_path)
    folder.update_result(metrics={"val/a": math.nan, "val/b": math.inf}, settings={"x": [math.nan, {"y": -math.inf}]})

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    content = json.loads(folder.result.read_text(), parse_constant=refuse)
    del content["format_version"]
    assert content == {"metrics": {"val/a": None, "val/b": None}, "settings": {"x": [None, {"y": None}]}}
    folder.update_result(steps=1)
    result = folder.read_result()
    assert math.isnan(result.metrics["val/a"])
    assert math.isnan(result.metrics["val/b"])


@pytest.mark.parametrize(
    ("fields", "error"), [({"settings": {"a": object()}}, TypeError), ({"seconds": 3}, ConfigurationError)]
)
def test_a_failed_update_leaves_the_file(tmp_path, fields, error):
    folder = RunFolder(tmp_path)
    folder.update_result(steps=3)
    with pytest.raises(error):
        folder.update_result(**fields)
    assert json.loads(folder.result.read_text()) == {"format_version": 1, "steps": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_the_latest_grid(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.latest_sample_grid() is None
    folder.samples.mkdir()
    (folder.samples / "epoch_best.png").touch()
    assert folder.latest_sample_grid() is None
    (folder.samples / "nearest.png").touch()
    assert folder.latest_sample_grid().name == "nearest.png"
    for epoch in (2, 10_000, 9990):
        (folder.samples / f"epoch_{epoch:04d}.png").touch()
    assert folder.latest_sample_grid().name == "epoch_10000.png"


def test_a_new_training_removes_values_and_images_of_an_earlier_one(tmp_path):
    folder = RunFolder(tmp_path)
    folder.samples.mkdir()
    grid, other = folder.samples / "epoch_0002.png", folder.samples / "mine.png"
    for path in (folder.result, folder.metrics, grid, other):
        path.touch()
    folder.start_training(resumed=True)
    assert [path.exists() for path in (folder.result, folder.metrics, grid, other)] == [False, True, True, True]
    folder.start_training()
    assert [path.exists() for path in (folder.metrics, grid, other)] == [False, False, True]
