"""``ganmc card``: a page of a run, with its teacher and baselines, and refused inputs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from ganmc_lightning.networks import load_network


@pytest.fixture(scope="module")
def student(tmp_path_factory, trained, data_root):
    """Run folder of a student of the trained teacher; tests must not change it."""
    from ganmc_lightning.cli import main

    folder = tmp_path_factory.mktemp("student")
    config = folder / "student.yaml"
    config.write_text(
        f"""
trainer: {{max_epochs: 1, accelerator: cpu, precision: 32-true, enable_progress_bar: false, logger: false}}
seed_everything: 5
data:
  dataset: {{class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {{path: {data_root}/tiny.npz}}}}
  batch_size: 27
model:
  class_path: ganmc_lightning.modules.DistillationModule
  init_args:
    teacher:
      class_path: ganmc_lightning.networks.load_network
      init_args: {{path: {trained.teacher_checkpoint}, submodule: network}}
    student:
      class_path: ganmc_lightning.networks.MLPClassifier
      init_args: {{in_features: 64, num_classes: 3, hidden: [8]}}
"""
    )
    run = folder / "run"
    assert main(["fit", "--config", str(config), "--trainer.default_root_dir", str(run)]) == 0
    return run


def accuracy(network, data_root):
    with np.load(data_root / "tiny.npz") as data:
        images = torch.from_numpy(data["test_images"]).permute(0, 3, 1, 2) / 127.5 - 1
        return float((network(images).argmax(dim=1) == torch.from_numpy(data["test_labels"])).double().mean())


def test_card_of_a_student(ganmc, student, trained, data_root, tmp_path):
    outcome = ganmc("card", student, "--baseline", trained.teacher, "--out", tmp_path)
    assert outcome.status == 0, outcome.err
    content = json.loads((tmp_path / "card.json").read_text())
    assert [(model["role"], model["name"]) for model in content["models"]] == [
        ("teacher", trained.teacher.as_posix()),
        ("student", student.as_posix()),
        ("baseline", trained.teacher.as_posix() + " (baseline)"),
    ]
    teacher, reached, baseline = (model["accuracy"]["value"] for model in content["models"])
    expected = load_network(str(student / "checkpoints" / "best.ckpt"), "student")
    assert reached == pytest.approx(accuracy(expected, data_root), rel=1e-9)
    assert (
        teacher
        == baseline
        == pytest.approx(accuracy(load_network(str(trained.teacher_checkpoint), "network"), data_root), rel=1e-9)
    )
    assert content["samples"] == 40
    assert content["seed"] == 5
    assert content["command"].startswith("ganmc card ")
    assert torch.__version__.startswith(content["environment"]["torch"])
    assert outcome.out.splitlines() == [content["conclusion"]["text"], str(tmp_path / "card.html")]
    assert "data:image/png" in (tmp_path / "card.html").read_text()


def test_card_of_weighted_rows(ganmc, tmp_path):
    """Weights are those of the training; the accuracy counts test rows equally."""
    rng = np.random.default_rng(0)
    labels, test_labels = rng.integers(2, size=200), rng.integers(2, size=60)
    arrays = {"X_train": rng.normal(labels, 0.8, size=(2, 200)).T, "X_test": rng.normal(test_labels, 0.8, (2, 60)).T}
    weights = rng.uniform(0.5, 2, 200)
    np.savez(tmp_path / "rows.npz", **arrays, y_train=labels, y_test=test_labels, sample_weight_train=weights)
    config = tmp_path / "rows.yaml"
    config.write_text(
        f"""
trainer: {{max_epochs: 3, accelerator: cpu, precision: 32-true, enable_progress_bar: false, logger: false}}
data:
  dataset: {{class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {{path: {tmp_path}/rows.npz}}}}
  batch_size: 20
model:
  class_path: ganmc_lightning.modules.ClassifierModule
  init_args:
    network: {{class_path: ganmc_lightning.networks.MLPClassifier, init_args: {{in_features: 2, num_classes: 2}}}}
"""
    )
    run = tmp_path / "run"
    assert ganmc("fit", "--config", config, "--trainer.default_root_dir", run).status == 0
    outcome = ganmc("card", run)
    assert outcome.status == 0, outcome.err
    assert ganmc("test", "--config", run / "config.yaml").status == 0
    reached = json.loads((run / "card.json").read_text())["models"][0]["accuracy"]["value"]
    assert reached == pytest.approx(json.loads((run / "result.json").read_text())["metrics"]["test/accuracy"])


def test_card_is_written_into_the_run(ganmc, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = shutil.copytree(trained.teacher, tmp_path / "run")
    assert ganmc("card", run).status == 0
    content = json.loads((run / "card.json").read_text())
    assert content["models"][0]["name"] == "run"  # relative to the working directory
    assert [model["role"] for model in content["models"]] == ["student"]
    assert "teacher" not in content["conclusion"]["text"].replace(run.as_posix(), "")


def test_teacher_of_own_code(ganmc, trained, tmp_path, monkeypatch):
    (tmp_path / "card_models.py").write_text(
        "from torch import nn\n\n\ndef make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    outcome = ganmc("card", trained.teacher, "--teacher", "card_models:make:weights.pt", "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    content = json.loads((tmp_path / "out" / "card.json").read_text())
    assert content["models"][0]["name"] == "card_models:make:weights.pt"
    assert content["models"][0]["parameters"] == 64 * 3 + 3


class TestRefused:
    def check(self, outcome, words):
        assert outcome.status == 2
        assert words in outcome.err
        assert outcome.err.count("\n") == 1

    def test_a_folder_without_run(self, ganmc, tmp_path):
        self.check(ganmc("card", tmp_path), f"RUN: {tmp_path / 'config.yaml'} not found, expected the folder of a run")

    def test_a_run_without_checkpoint(self, ganmc, tmp_path):
        (tmp_path / "config.yaml").write_text("{}")
        self.check(ganmc("card", tmp_path), "best.ckpt not found")

    def test_a_run_twice(self, ganmc, trained):
        outcome = ganmc("card", trained.teacher, "--baseline", trained.teacher)
        self.check(outcome, "twice, expected different runs")

    def test_a_gan(self, ganmc, trained, tmp_path):
        self.check(ganmc("card", trained.acgan, "--out", tmp_path), "expected a classifier (network or student)")

    def test_a_run_without_data(self, ganmc, trained, tmp_path):
        run = shutil.copytree(trained.teacher, tmp_path / "run")
        (run / "config.yaml").write_text("data: {dataset: ganmc_lightning.data.datasets.DataFreeSource}\n")
        self.check(ganmc("card", run), "data.dataset has no labeled samples")

    def test_missing_teacher(self, ganmc, student, tmp_path):
        run = shutil.copytree(student, tmp_path / "run")
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace("checkpoints/best.ckpt", "checkpoints/gone.ckpt"))
        outcome = ganmc("card", run)
        self.check(outcome, "gone.ckpt: checkpoint not found")
        assert "set --teacher" in outcome.err

    def test_data_of_other_classes(self, ganmc, student, tmp_path, data_root):
        run = shutil.copytree(student, tmp_path / "run")
        with np.load(data_root / "tiny.npz") as data:
            arrays = {name: data[name] for name in data}
        for split in ("train", "test"):
            arrays[f"{split}_labels"] = np.minimum(arrays[f"{split}_labels"], 1)
        np.savez(tmp_path / "other.npz", **arrays)
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace(f"{data_root}/tiny.npz", f"{tmp_path}/other.npz"))
        self.check(ganmc("card", run), "returned shape (2, 3) for 2 samples, expected (2, 2) for the 2 classes")
