"""Every shipped configuration, run through the real command line with small networks and a handful of samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from ganmc_lightning.cli import main
from ganmc_lightning.synthesizers import FilteredSynthesizer

CONFIGS = Path(__file__).parents[2] / "configs"
EXPERIMENTS = sorted(CONFIGS.glob("*/*.experiment.yaml"))
SHAPES = {"fashion_mnist": (28, 1), "mnist": (28, 1), "cifar10": (32, 3)}
SMALLER = {
    "NIN": {"hidden": 16},
    "WideResNet": {"depth": 10, "widen_factor": 1},
    "LeNet": {"widths": [4, 8, 16]},
    "FiveLayerCNN": {"widths": [4, 8, 8, 16]},
    "ACGANGenerator": {"width": 4},
    "ACGANDiscriminator": {"width": 2},
}
TINY = {
    "trainer.max_epochs": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.limit_train_batches": 2,
    "trainer.limit_val_batches": 1,
    "trainer.limit_test_batches": 1,
    "trainer.precision": "32-true",
    "data.batch_size": 8,
}


def shrink(value):
    """Make the networks of a configuration small and leave the rest as it is."""
    if isinstance(value, list):
        return [shrink(item) for item in value]
    if isinstance(value, str) and value.rpartition(".")[2] in SMALLER and "networks" in value:
        return {"class_path": value, "init_args": SMALLER[value.rpartition(".")[2]]}
    if not isinstance(value, dict):
        return value
    shrunk = {key: item if key == "class_path" else shrink(item) for key, item in value.items()}
    name = str(value.get("class_path", "")).rpartition(".")[2]
    if name in SMALLER:
        shrunk["init_args"] = {**shrunk.get("init_args", {}), **SMALLER[name]}
    if "train_size" in shrunk:
        shrunk["train_size"] = 40
    return shrunk


def write_data(root, name):
    size, channels = SHAPES[name]
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 80), ("test", 20)):
        arrays[f"{part}_images"] = random.integers(0, 256, (n, size, size, channels), np.uint8)
        arrays[f"{part}_labels"] = np.arange(n) % 10
    root.mkdir(exist_ok=True)
    np.savez(root / f"{name}.npz", **arrays)


def fit_without_calibration(self, inputs, labels, spec):
    """A filter that lets everything pass: a teacher confirms nothing of what a GAN of two steps makes."""
    self.synthesizer.fit(inputs, labels, spec)
    self._thresholds = torch.zeros(spec.num_classes)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=[file.name.partition(".")[0] for file in EXPERIMENTS])
def test_the_whole_chain_runs(file, tmp_path, monkeypatch):
    monkeypatch.setattr(FilteredSynthesizer, "fit", fit_without_calibration)
    monkeypatch.setattr(FilteredSynthesizer, "_accept", lambda self, samples, labels: labels >= 0)
    root = tmp_path / "data"
    if file.parent.name in SHAPES:
        write_data(root, file.parent.name)
    monkeypatch.setenv("GANMC_DATA", str(root))
    experiment = yaml.safe_load(file.read_text())
    in_stages = set()
    for stage in experiment["stages"].values():
        stage.pop("quick", None)
        in_stages |= {stage["config"]} if isinstance(stage["config"], str) else set(stage["config"])
    for config in file.parent.glob("*.yaml"):
        if ".experiment." in config.name:
            continue
        content = yaml.safe_load(config.read_text())
        (tmp_path / config.name).write_text(yaml.safe_dump(shrink(content)))
        if config.name not in in_stages:  # no experiment needs it: it must run all the same
            experiment["stages"][f"also_{config.stem}"] = {"config": config.name, "test": False}
    experiment["quick"] = TINY
    (tmp_path / file.name).write_text(yaml.safe_dump(experiment, sort_keys=False))
    status = main(["reproduce", str(tmp_path / file.name), "--quick", "--seeds", "1", "--out", str(tmp_path / "runs")])
    assert status == 0
    report = json.loads((tmp_path / "runs" / experiment["experiment"] / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == [row["name"] for row in experiment["report"]["rows"]]


def test_every_folder_of_configurations_has_an_experiment():
    assert {file.parent for file in EXPERIMENTS} == {folder for folder in CONFIGS.iterdir() if folder.is_dir()}
