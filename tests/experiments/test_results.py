from __future__ import annotations

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.fingerprint import Fingerprint
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.results import StageResult, load_results
from ganmc_lightning.runs.folder import RunFolder


def planned(folder, stage, seed):
    return PlannedRun(stage, seed, RunFolder(folder / stage / f"seed{seed}"), Fingerprint({}, "", {}), {}, (), None)


def test_results_are_grouped_by_stage_in_the_order_of_the_seeds(tmp_path):
    runs = [planned(tmp_path, stage, seed) for seed in (3, 1) for stage in ("teacher", "student")]
    for run in runs:
        run.folder.update_result(metrics={"val/accuracy": run.seed / 10})
    results = load_results(runs)
    assert list(results) == ["teacher", "student"]
    for stage, runs_of_stage in results.items():
        assert [run.seed for run in runs_of_stage] == [1, 3]
        assert [run.value("val/accuracy") for run in runs_of_stage] == [0.1, 0.3]
        assert {run.stage for run in runs_of_stage} == {stage}
        assert runs_of_stage[0].folder.path == tmp_path / stage / "seed1"


def test_a_missing_result_names_the_file_and_how_to_resume(tmp_path):
    with pytest.raises(ConfigurationError, match=r"seed0/result.json: not found; run the same command to resume"):
        load_results([planned(tmp_path, "teacher", 0)])


def stage_result(folder, content):
    RunFolder(folder).update_result(**content)
    return StageResult("student", 0, RunFolder(folder), RunFolder(folder).read_result())


def test_error_and_costs_are_metrics(tmp_path):
    result = stage_result(tmp_path, {"metrics": {"val/accuracy": 0.97, "test/accuracy": 0.9}, "parameters": 120})
    assert result.value("val/error") == pytest.approx(0.03, rel=1e-9, abs=1e-10)
    assert result.value("test/error") == pytest.approx(0.1, rel=1e-9, abs=1e-10)
    assert result.value("test/parameters") == 120
    assert not result.has("test/flops")


def test_a_recorded_metric_precedes_a_derived_one(tmp_path):
    metrics = {"test/accuracy": 0.9, "test/error": 3.0, "test/parameters": 7}
    result = stage_result(tmp_path, {"metrics": metrics, "parameters": 120})
    assert result.value("test/error") == 3
    assert result.value("test/parameters") == 7
    with pytest.raises(ConfigurationError, match="no 'val/error'"):
        result.value("val/error")


def test_an_unknown_name_lists_the_available_ones(tmp_path):
    result = stage_result(tmp_path, {"metrics": {"val/fid": 3.0, "val/kid": 1.0}, "curves": {"b": {}, "a": {}}})
    with pytest.raises(ConfigurationError, match=r"result.json: no 'val/accuracy' \(available: val/fid, val/kid\)"):
        result.value("val/accuracy")
    with pytest.raises(ConfigurationError, match=r"no 'test/fid' \(available: none\)"):
        result.value("test/fid")
    with pytest.raises(ConfigurationError, match=r"no curve 'c' \(available: a, b\)"):
        result.curve("c")
