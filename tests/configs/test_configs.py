"""Every shipped configuration, run through the real command line with small networks and a handful of samples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ganmc_lightning.cli import main
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.interpolation import find_stage_paths
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.synthesizers import FilteredSynthesizer

CONFIGS = Path(__file__).parents[2] / "configs"
EXPERIMENTS = sorted(CONFIGS.glob("*/*.experiment.yaml"))
SHAPES = {  # side, channels, classes
    "fashion_mnist": (28, 1, 10),
    "mnist": (28, 1, 10),
    "cifar10": (32, 3, 10),
    "cifar100": (32, 3, 100),
    "svhn": (32, 3, 10),
    "mnist_64": (64, 1, 10),
    "celeba": (64, 3, 2),
}
ROWS = {"magic": 10, "higgs": 28}  # features
FILES = {"celeba": "celeba_64_Smiling"}  # data sets that are not called like their folder
SMALLER = {
    "NIN": {"hidden": 16},
    "WideResNet": {"depth": 10, "widen_factor": 1},
    "LeNet": {"widths": [4, 8, 16]},
    "FiveLayerCNN": {"widths": [4, 8, 8, 16]},
    "ACGANGenerator": {"width": 4},
    "ACGANDiscriminator": {"width": 2},
    "DCGANGenerator": {"width": 2},
    "DCGANDiscriminator": {"width": 2},
    "GeneratorMetricsMonitor": {"num_samples": 50},
    "TreeScoreMonitor": {"teacher_trees": 5, "synthetic_ratio": 1, "num_students": 1},
    "PooledSynthesizer": {"size": 40},
    "LeNet4": {"widths": [4, 8, 16]},
    "PreActResNet": {"depth": 8},
    # Without weights, 152 layers multiply into logits that no student could follow without diverging.
    "resnet152": {"num_classes": 3, "weights": None, "zero_init_residual": True},
    "resnet50": {"num_classes": 3},
    "resnet18": {"num_classes": 3},
    "ImageNet": {"image_size": 32, "shorter_side": 32},
}
# What smaller networks change elsewhere in a configuration, by folder: the names of layers and the sizes of features.
BLOCKS = {27: 1, 54: 2, 81: 3, 83: 5, 3: 1, 6: 2, 9: 3, 11: 5}
RESNET_LAYERS = {("", f"features.{old}"): f"features.{new}" for old, new in BLOCKS.items()}
FOLLOWING = {
    "cifar10": RESNET_LAYERS,
    "cifar100": RESNET_LAYERS,
    "svhn": RESNET_LAYERS,
    "fashion_mnist": {("in_features", 1024): 16, ("in_features", 256): 16, ("in_channels", 128): 8},
    "imagenet": {("in_features", 1000): 3},
}
TINY = {
    "trainer.max_epochs": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.limit_train_batches": 2,
    "trainer.limit_val_batches": 1,
    "trainer.limit_test_batches": 1,
    "trainer.precision": "32-true",
    "trainer.devices": 1,
    "trainer.strategy": "auto",
    "data.batch_size": 8,
}
# Discriminators of a sweep differ in how many units their layers have, and in nothing else.
SWEPT_UNITS = "model.init_args.discriminator.init_args.hidden"
# The tests have no network to fetch Inception-v3 by.
OTHER_EXTRACTOR = "--extractor classifier:{nin}/checkpoints/best.ckpt"


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
    if "num_workers" in shrunk:
        shrunk["num_workers"] = 0
    if "train_size" in shrunk:
        shrunk["train_size"] = 40
    return shrunk


def follow(value, changes, key=""):
    """Change what depends on the networks' sizes; layers count under any key, sizes under their own."""
    if isinstance(value, list):
        return [follow(item, changes) for item in value]
    if isinstance(value, dict):
        return {name: follow(item, changes, str(name).rpartition(".")[2]) for name, item in value.items()}
    if key in ("width", "n_critic"):  # of a GAN in a sweep; one that has two batches
        return min(value, 2)
    return changes.get((key, value), changes.get(("", value), value))


def smaller(content, folder, root):
    """A configuration, or a stage's part of one, with small networks and data."""
    images = {("path", "data/imagenet"): str(root / "imagenet")}
    return follow(shrink(content), {**FOLLOWING.get(folder, {}), **images})


def drop_repeats(stages):
    """Take out every stage that is, once all are small, word for word an earlier one; say which one stands in for it.

    In a sweep over widths all stages have become the same: the first is run, and the report reads its results in the
    places of the others too, whose names disappear from command lines as well. A stage that differs in anything but
    such a size, be it one that only leaves out a setting that another one spells out, is no repeat.
    """
    first, stands_in = {}, {}
    for name in list(stages):
        stage = stages[name]
        if "command" in stage:
            words = [word for word in stage["command"].split() if word.partition("=")[0] not in stands_in]
            stage["command"] = " ".join(words)
        if SWEPT_UNITS in stage.get("overrides", {}):
            stage["overrides"][SWEPT_UNITS] = [4, 4]
        stages[name] = stage = renamed(stage, stands_in)
        content = json.dumps(stage, sort_keys=True)
        if content in first:
            stands_in[name] = first[content]
            del stages[name]
        first.setdefault(content, name)
    return stands_in


def renamed(value, names, key=""):
    """Put one stage's name for another's: alone or in braces, and not where it is what a reader sees."""
    if isinstance(value, list):
        return [renamed(item, names, key) for item in value]
    if isinstance(value, dict):
        return {inner: renamed(item, names, inner) for inner, item in value.items()}
    if not isinstance(value, str) or key in ("name", "title", "join"):
        return value
    return re.sub(r"\{([\w-]+)\}", lambda found: f"{{{names.get(found[1], found[1])}}}", names.get(value, value))


def configs_of(file):
    """Names of the configurations that an experiment's stages name."""
    for stage in yaml.safe_load(file.read_text())["stages"].values():
        named = stage.get("config", [])
        yield from [named] if isinstance(named, str) else named


def write_data(root, name):
    random = np.random.default_rng(0)
    if name == "imagenet":
        for folder in (root / name / part / kind for part in ("train", "val") for kind in ("a", "b", "c")):
            folder.mkdir(parents=True)
            for k in range(30):
                Image.fromarray(random.integers(0, 256, (40, 36, 3), np.uint8)).save(folder / f"{k}.png")
        return
    root.mkdir(exist_ok=True)
    if name in ROWS:
        rows, labels = random.normal(size=(120, ROWS[name])), np.arange(120) % 2
        np.savez(root / f"{name}.npz", X_train=rows[:80], y_train=labels[:80], X_test=rows[80:], y_test=labels[80:])
        return
    size, channels, classes = SHAPES[name]
    arrays = {}
    for part, n in (("train", max(80, 2 * classes)), ("test", max(20, classes))):
        arrays[f"{part}_images"] = random.integers(0, 256, (n, size, size, channels), np.uint8)
        arrays[f"{part}_labels"] = np.arange(n) % classes
    np.savez(root / f"{FILES.get(name, name)}.npz", **arrays)


def fit_without_calibration(self, inputs, labels, spec):
    """A filter that lets everything pass: a teacher confirms nothing of what a GAN of two steps makes."""
    self.synthesizer.fit(inputs, labels, spec)
    self._thresholds = torch.zeros(spec.num_classes)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=[file.name.partition(".")[0] for file in EXPERIMENTS])
def test_the_whole_chain_runs(file, tmp_path, monkeypatch):
    monkeypatch.setattr(FilteredSynthesizer, "fit", fit_without_calibration)
    monkeypatch.setattr(FilteredSynthesizer, "_accept", lambda self, samples, labels: labels >= 0)
    root = tmp_path / "data"
    if file.parent.name in (*SHAPES, *ROWS, "imagenet"):
        write_data(root, file.parent.name)
    monkeypatch.setenv("GANMC_DATA", str(root))
    experiment = yaml.safe_load(file.read_text())
    for stage in experiment["stages"].values():
        if "command" in stage:
            stage["command"] = stage["command"].replace("--extractor inception", OTHER_EXTRACTOR)
        else:
            stage.pop("quick", None)
            stage["overrides"] = smaller(stage.get("overrides", {}), file.parent.name, root)
    stands_in = drop_repeats(experiment["stages"])
    experiment["report"] = renamed(experiment["report"], stands_in)
    in_stages = set().union(*(configs_of(other) for other in EXPERIMENTS if other.parent == file.parent))
    for config in file.parent.glob("*.yaml"):
        if ".experiment." in config.name:
            continue
        content = yaml.safe_load(config.read_text())
        (tmp_path / config.name).write_text(yaml.safe_dump(smaller(content, file.parent.name, root)))
        home, trainer = f"runs/{experiment['experiment']}/", content.get("trainer", {})
        if config.name not in in_stages and trainer.get("default_root_dir", "").startswith(home):
            # No experiment needs it: it must run all the same.
            needs = sorted({stage for _, stage in find_stage_paths(content, experiment["experiment"])})
            experiment["stages"][f"also_{config.stem}"] = {"config": config.name, "test": False, "needs": needs}
    experiment["quick"] = TINY
    (tmp_path / file.name).write_text(yaml.safe_dump(experiment, sort_keys=False))
    status = main(["reproduce", str(tmp_path / file.name), "--quick", "--seeds", "1", "--out", str(tmp_path / "runs")])
    assert status == 0
    report = json.loads((tmp_path / "runs" / experiment["experiment"] / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == [row["name"] for row in experiment["report"].get("rows", [])]


@pytest.mark.parametrize("file", EXPERIMENTS, ids=[file.name.partition(".")[0] for file in EXPERIMENTS])
def test_every_stage_has_a_plan(file, tmp_path):
    """Those too that the chain above leaves out as repeats; at full size no two are the same."""
    experiment = load_experiment(file)
    for quick in (False, True):
        runs = plan_runs(experiment, tmp_path, [0, 1], quick)
        expected = [
            (name, seed) for seed in (0, 1) for name, stage in experiment.stages.items() if not (stage.shared and seed)
        ]
        assert [(run.stage, run.seed) for run in runs] == expected
        assert len({run.fingerprint.digest for run in runs}) == len(runs)


def test_a_repeat_is_dropped_from_stages_and_command_lines():
    stages = {
        "a": {"config": "gan.yaml", "overrides": {"width": 2}},
        "b": {"config": "gan.yaml", "overrides": {"width": 2}},
        "c": {"config": "gan.yaml"},
        "d": {"config": "student.yaml", "overrides": {"path": "{a}/best.ckpt"}},
        "e": {"config": "student.yaml", "overrides": {"path": "{b}/best.ckpt"}},
        "scores": {"command": "score a={a}/x b={b}/x e={e}/x --sharpness-reference {b}/x"},
    }
    names = drop_repeats(stages)
    assert names == {"b": "a", "e": "d"}
    assert list(stages) == ["a", "c", "d", "scores"]
    assert stages["scores"] == {"command": "score a={a}/x --sharpness-reference {a}/x"}
    report = {"rows": [{"name": "b", "stage": "b"}], "x_to_stage": {0.5: "e"}, "grids": ["b", "c"]}
    expected = {"rows": [{"name": "b", "stage": "a"}], "x_to_stage": {0.5: "d"}, "grids": ["a", "c"]}
    assert renamed(report, names) == expected


def test_every_folder_of_configurations_has_an_experiment():
    assert {file.parent for file in EXPERIMENTS} == {folder for folder in CONFIGS.iterdir() if folder.is_dir()}
