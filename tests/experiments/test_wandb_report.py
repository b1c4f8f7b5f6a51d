from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.reproduce import reproduce


def test_each_training_has_its_own_logger_which_does_not_count(experiment_file, tmp_path):
    experiment = load_experiment(experiment_file)
    plain, logged = (plan_runs(experiment, tmp_path, (3,), False, project)[0] for project in (None, "compression"))
    assert logged.command[:-1] == plain.command
    assert logged.fingerprint == plain.fingerprint
    key, _, value = logged.command[-1].partition("=")
    logger = yaml.safe_load(value)
    assert key == "--trainer.logger"
    assert logger["init_args"]["name"] == "teacher-seed3"
    assert logger["init_args"]["group"] == "tiny"
    assert Path(logger["init_args"]["save_dir"]) == logged.folder.path


@pytest.mark.filterwarnings("ignore")  # W&B's own
def test_table_figures_and_files_are_in_an_offline_run(edited, tmp_path, monkeypatch, fake):
    two = "  learning_curves: [{title: Curves, stages: [teacher]}, {title: Curves, stages: [alone]}]\n"
    experiment_file = edited('  learning_curves: {title: "Learning curves", stages: [teacher, alone, mixed_02]}\n', two)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))
    code = reproduce(
        experiment_file,
        tmp_path,
        command="ganmc reproduce",
        run_command=fake,
        console=Console(file=io.StringIO()),
        seeds=(0,),
        wandb_project="compression",
    )
    assert code == 0
    (run,) = (tmp_path / "tiny" / "wandb").glob("offline-run-*")
    (table,) = run.glob("files/media/table/table*.table.json")
    content = json.loads(table.read_text())
    report = json.loads((tmp_path / "tiny" / "report.json").read_text())
    assert [row[0].partition(", chosen")[0] for row in content["data"]] == [row["name"] for row in report["rows"]]
    assert [row[2] for row in content["data"]] == [row["mean"] for row in report["rows"]]
    assert len(list(run.glob("files/media/images/*.png"))) == len(list((tmp_path / "tiny").glob("figures/*.png"))) > 3
    (staged,) = (folder for folder in (tmp_path / "staged").rglob("staging") if folder.is_dir())
    copies = {file.read_bytes() for file in staged.iterdir() if file.is_file()}
    figures = sorted((tmp_path / "tiny").glob("figures/*.png"))
    assert figures
    names = ("report.html", "report.json", "report.md")
    assert copies >= {path.read_bytes() for path in (*(tmp_path / "tiny" / name for name in names), *figures)}
