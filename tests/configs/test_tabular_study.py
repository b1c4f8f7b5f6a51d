"""Run two data sets of the experiment tabular_study, without the tables of KEEL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import yaml

from ganmc_lightning.cli import main
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.tabular import students

FILE = Path(__file__).parents[2] / "configs" / "tabular_study" / "tabular_study.experiment.yaml"
AVAILABLE = ["magic", "breast_cancer"]
MISSING = ["german", "letter"]


def write_part(folder):
    """Write the experiment with the stages of four data sets."""
    content = yaml.safe_load(FILE.read_text())
    kept = [*AVAILABLE, *MISSING]
    content["stages"] = {name: content["stages"][name] for name in kept}
    for test in (*content["report"]["paired_tests"], *content["report"]["rank_tests"]):
        test["stages"] = kept
    for table in content["report"]["tables"]:
        table["rows"] = [row for row in table["rows"] if row["stage"] in kept]
    shutil.copy(FILE.with_name("tabular_study.yaml"), folder)
    (folder / FILE.name).write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / FILE.name


def test_report_lists_missing_data_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    monkeypatch.setattr(students, "LEAVES", (4,))
    monkeypatch.setattr(students, "MAX_ITERATIONS", 8)
    X = np.random.default_rng(0).normal(size=(300, 10))
    np.savez(tmp_path / "magic.npz", X=X, y=X[:, :3].sum(axis=1) > 0)
    arguments = ["--quick", "--seeds", "0", "--keep-going", "--out", str(tmp_path / "runs")]
    assert main(["reproduce", str(write_part(tmp_path)), *arguments]) == 1
    report = json.loads((tmp_path / "runs" / "tabular_study" / "report.json").read_text())
    assert "2 runs failed or were skipped (german seed 0, letter seed 0)" in report["notes"][0]
    assert list(report["rank_tests"][0]["scores"]) == AVAILABLE
    assert report["paired_tests"][0]["conclusion"].startswith("Synthetic rows ")


def test_every_data_set_is_in_every_test_and_table():
    experiment = load_experiment(FILE)
    names = tuple(experiment.stages)
    assert all(test.stages == names for test in (*experiment.report.paired_tests, *experiment.report.rank_tests))
    assert all(tuple(row.stage for row in table.rows) == names for table in experiment.report.tables)
