"""Run every shipped configuration with ``ganmc reproduce --quick``, small networks and few samples."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from ganmc_lightning.cli import main
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.interpolation import find_stage_paths
from ganmc_lightning.experiments.partial import select_stages
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.synthesizers import FilteredSynthesizer

CONFIGS = Path(__file__).parents[2] / "configs"
EXPERIMENTS = sorted(CONFIGS.glob("*/*.experiment.yaml"))
SHAPES = {  # image size, channels, classes
    "fashion_mnist": (28, 1, 10),
    "mnist": (28, 1, 10),
    "cifar10": (32, 3, 10),
    "cifar10_5k": (32, 3, 10),
    "cifar100": (32, 3, 100),
    "svhn": (32, 3, 10),
    "mnist_64": (64, 1, 10),
    "celeba": (64, 3, 2),
}
ROWS = {"magic": 10, "higgs": 28}  # features
FILES = {"celeba": "celeba_64_Smiling", "cifar10_5k": "cifar10"}  # data sets with a file name unlike their folder
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
    "resnet152": {"num_classes": 3, "weights": None},
    "resnet50": {"num_classes": 3},
    "resnet18": {"num_classes": 3},
    "ImageNet": {"image_size": 32, "shorter_side": 32},
}
# Layer names and feature sizes that differ for the smaller networks, by folder.
BLOCKS = {27: 1, 54: 2, 81: 3, 83: 5, 3: 1, 6: 2, 9: 3, 11: 5}
RESNET_LAYERS = {("", f"network.features.{old}"): f"network.features.{new}" for old, new in BLOCKS.items()}
DEPENDENT = {
    "cifar10": RESNET_LAYERS,
    "cifar100": RESNET_LAYERS,
    "svhn": RESNET_LAYERS,
    "fashion_mnist": {("in_features", 1024): 16, ("in_features", 256): 16, ("in_channels", 128): 8},
    "imagenet": {("in_features", 1000): 3, ("in_features", 2048): 512},
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
    "data.batch_size": 4,
}
SWEPT = {  # overrides of a sweep, of which one value is run, and this value
    "model.init_args.discriminator.init_args.hidden": [4, 4],
    "data.p_fake": 0.5,
    "data.train_size": 40,
    "data.synthesizer.init_args.size": 40,
}
# Tests do not download the weights of Inception-v3.
OTHER_EXTRACTOR = "--extractor classifier:{nin}/checkpoints/best.ckpt"


def shrink(value):
    """Replace the networks of a configuration by small ones."""
    if isinstance(value, list):
        return [shrink(item) for item in value]
    if isinstance(value, str) and value.rpartition(".")[2] in SMALLER and "networks" in value:
        return {"class_path": value, "init_args": SMALLER[value.rpartition(".")[2]]}
    if not isinstance(value, dict):
        return value
    shrunk = {key: item if key == "class_path" else shrink(item) for key, item in value.items()}
    if value.get("class_path") in ("torchvision.models.resnet50", "torchvision.models.resnet152"):  # slower
        shrunk["class_path"] = "torchvision.models.resnet18"
    name = str(value.get("class_path", "")).rpartition(".")[2]
    if name in SMALLER:
        shrunk["init_args"] = {**shrunk.get("init_args", {}), **SMALLER[name]}
    if "num_workers" in shrunk:
        shrunk["num_workers"] = 0
    if "train_size" in shrunk:
        shrunk["train_size"] = 40
    return shrunk


def replace_values(value, changes, key=""):
    """Replace layer names (under any key) and sizes (under their own key) that depend on the networks."""
    if isinstance(value, list):
        return [replace_values(item, changes) for item in value]
    if isinstance(value, dict):
        return {name: replace_values(item, changes, str(name).rpartition(".")[2]) for name, item in value.items()}
    if key in ("width", "n_critic"):  # of a GAN in a sweep; an epoch has two batches
        return min(value, 2)
    return changes.get((key, value), changes.get(("", value), value))


def smaller(content, folder):
    """Return a configuration or the overrides of a stage with small networks and data."""
    return replace_values(shrink(content), DEPENDENT.get(folder, {}))


def tiny(config):
    """Limit a configuration to two batches of training; as overrides these values would take longer to parse."""
    for key, value in TINY.items():
        section, name = key.split(".")
        if "trainer" in config and section in config:
            config[section][name] = value
    return config


def shrink_stages(file):
    """Return the stages of an experiment, with small networks and one value per sweep."""
    stages = yaml.safe_load(file.read_text())["stages"]
    for stage in stages.values():
        if "command" in stage:
            for key in {"command", "quick_command"} & set(stage):
                words = stage[key].replace("--extractor inception", OTHER_EXTRACTOR)
                stage[key] = re.sub(r"--num-samples \d+", "--num-samples 20", words)
            continue
        stage.pop("quick", None)
        overrides = smaller(stage.get("overrides", {}), file.parent.name)
        swept = {key: SWEPT[key] for key, value in overrides.items() if key in SWEPT and value not in (0, 1)}
        stage["overrides"] = {key: value for key, value in {**overrides, **swept}.items() if key not in TINY}
    return stages


@cache
def overrides_before(file):
    """Return the overrides of the experiments before this one; they need not be run again with other configurations."""
    earlier = EXPERIMENTS[: EXPERIMENTS.index(file)]
    return frozenset(describe_overrides(stage) for other in earlier for stage in shrink_stages(other).values())


def describe_overrides(stage):
    return json.dumps(stage.get("overrides"), sort_keys=True)


def drop_duplicates(stages, done=frozenset(), candidates=()):
    """Remove stages that need not be run, and return a mapping from removed to kept names.

    A stage is removed if it equals an earlier one, as all stages of a sweep over widths do after shrinking. It is also
    removed if its overrides are in ``done`` or those of an earlier stage, with any configuration, unless it is the
    first with its configuration: each configuration is run once, and tested once unless a report compares
    ``candidates``. Reports and commands use the results of the kept stages.
    """
    first, first_of_config, kept_name = {}, {}, {}
    for name in list(stages):
        stage = stages[name]
        if "command" in stage:
            words = [word for word in stage["command"].split() if word.partition("=")[0] not in kept_name]
            stage["command"] = " ".join(words)
        is_done = bool(stage.get("overrides")) and describe_overrides(stage) in done
        done = done | {describe_overrides(stage)}
        stages[name] = stage = renamed(stage, kept_name)
        content, configs = json.dumps(stage, sort_keys=True), str(stage.get("config"))
        if content in first or (is_done and configs in first_of_config):
            kept_name[name] = first[content] if content in first else first_of_config[configs]
            del stages[name]
        elif configs in first_of_config and "command" not in stage and name not in candidates:
            stage["test"] = False
        first.setdefault(content, kept_name.get(name, name))
        first_of_config.setdefault(configs, name)
    return kept_name


def renamed(value, names, key=""):
    """Replace names of stages, bare or in braces, but not in displayed text."""
    if isinstance(value, list):
        return [renamed(item, names, key) for item in value]
    if isinstance(value, dict):
        return {inner: renamed(item, names, inner) for inner, item in value.items()}
    if not isinstance(value, str) or key in ("name", "title", "join"):
        return value
    return re.sub(r"\{([\w-]+)\}", lambda found: f"{{{names.get(found[1], found[1])}}}", names.get(value, value))


def configs_of(file):
    """Yield the configuration files of an experiment's stages."""
    for stage in yaml.safe_load(file.read_text())["stages"].values():
        named = stage.get("config", [])
        yield from [named] if isinstance(named, str) else named


def stages_without_validation(file):
    """Yield the stages that have no validation metrics, so that a report requires their test."""
    for name, stage in yaml.safe_load(file.read_text())["stages"].items():
        if isinstance(stage.get("config"), str) and "command" not in stage and stage.get("test", True):
            content = yaml.safe_load((file.parent / stage["config"]).read_text())
            if content["data"].get("validation_fraction") == 0:
                yield name


def write_data(root, name):
    random = np.random.default_rng(0)
    if name == "imagenet":
        for folder in (root / name / split / kind for split in ("train", "val") for kind in ("a", "b", "c")):
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
    for split, n in (("train", max(80, 2 * classes)), ("test", max(20, classes))):
        arrays[f"{split}_images"] = random.integers(0, 256, (n, size, size, channels), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n) % classes
    np.savez(root / f"{FILES.get(name, name)}.npz", **arrays)


RUN_HERE = [file for file in EXPERIMENTS if file.parent.name != "tabular_study"]  # it has a test file of its own


@pytest.mark.filterwarnings("ignore:CompressionScoreMonitor.* is nan:UserWarning")  # of tiny trainings
@pytest.mark.parametrize("file", RUN_HERE, ids=[file.name.partition(".")[0] for file in RUN_HERE])
def test_all_stages_run(file, tmp_path, monkeypatch):
    # All samples are accepted, because a teacher is confident in no sample of a GAN after two steps.
    monkeypatch.setattr(FilteredSynthesizer, "fit", lambda self, *data: self.synthesizer.fit(*data))
    monkeypatch.setattr(FilteredSynthesizer, "sample", lambda self, *arguments: self.synthesizer.sample(*arguments))
    root = tmp_path / "data"
    if file.parent.name in (*SHAPES, *ROWS, "imagenet"):
        write_data(root, file.parent.name)
    monkeypatch.setenv("GANMC_DATA", str(root))
    experiment = yaml.safe_load(file.read_text())
    experiment["stages"] = shrink_stages(file)
    candidates = {name for row in experiment["report"].get("rows", []) for name in row.get("select_from", [])}
    sweeps = experiment["report"].get("sweep", [])
    for sweep in [sweeps] if isinstance(sweeps, dict) else sweeps:
        candidates |= {*sweep["x_to_stage"].values(), *sweep.get("baselines", [])}
    candidates |= set(stages_without_validation(file))
    kept_name = drop_duplicates(experiment["stages"], overrides_before(file), candidates)
    experiment["report"] = renamed(experiment["report"], kept_name)
    in_stages = set().union(*(configs_of(other) for other in EXPERIMENTS if other.parent == file.parent))
    for config in file.parent.glob("*.yaml"):
        if ".experiment." in config.name:
            continue
        content = yaml.safe_load(config.read_text())
        text = yaml.safe_dump(tiny(smaller(content, file.parent.name)))
        (tmp_path / config.name).write_text(text.replace("data/imagenet", str(root / "imagenet")))
        home, trainer = f"runs/{experiment['experiment']}/", content.get("trainer", {})
        if config.name not in in_stages and trainer.get("default_root_dir", "").startswith(home):
            # Also run configurations that no experiment uses.
            needs = sorted({stage for _, stage in find_stage_paths(content, experiment["experiment"])})
            experiment["stages"][f"also_{config.stem}"] = {"config": config.name, "test": False, "needs": needs}
    experiment["quick"] = {}
    (tmp_path / file.name).write_text(yaml.safe_dump(experiment, sort_keys=False))
    status = main(["reproduce", str(tmp_path / file.name), "--quick", "--seeds", "1", "--out", str(tmp_path / "runs")])
    assert status == 0
    report = json.loads((tmp_path / "runs" / experiment["experiment"] / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == [row["name"] for row in experiment["report"].get("rows", [])]


@pytest.mark.parametrize("file", EXPERIMENTS, ids=[file.name.partition(".")[0] for file in EXPERIMENTS])
def test_all_stages_are_planned(file, tmp_path):
    """Including those that the test above skips as duplicates; at full size all runs differ."""
    experiment = load_experiment(file)
    for quick in (False, True):
        runs = plan_runs(experiment, tmp_path, [0, 1], quick)
        expected = [
            (name, seed) for seed in (0, 1) for name, stage in experiment.stages.items() if not (stage.shared and seed)
        ]
        assert [(run.stage, run.seed) for run in runs] == expected
        assert len({run.fingerprint.digest for run in runs}) == len(runs)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=[file.name.partition(".")[0] for file in EXPERIMENTS])
def test_each_stage_alone_has_a_report(file):
    experiment = load_experiment(file)
    for name in experiment.stages:
        selected = select_stages(experiment, [name])
        report = selected.report
        used = {stage for row in report.rows for stage in row.stages}
        used |= {stage for table in report.tables for row in table.rows for stage in row.stages}
        used |= {stage for sweep in report.sweep for stage in (*sweep.x_to_stage.values(), *sweep.baselines)}
        assert used <= set(selected.stages)
        assert all(need in selected.stages for stage in selected.stages.values() for need in stage.needs)


def test_duplicates_are_removed_from_stages_and_commands():
    stages = {
        "a": {"config": "gan.yaml", "overrides": {"width": 2}},
        "b": {"config": "gan.yaml", "overrides": {"width": 2}},
        "c": {"config": "gan.yaml"},
        "d": {"config": "student.yaml", "overrides": {"path": "{a}/best.ckpt"}},
        "e": {"config": "student.yaml", "overrides": {"path": "{b}/best.ckpt"}},
        "scores": {"command": "score a={a}/x b={b}/x e={e}/x --sharpness-reference {b}/x"},
    }
    names = drop_duplicates(stages)
    assert names == {"b": "a", "e": "d"}
    assert list(stages) == ["a", "c", "d", "scores"]
    assert stages["scores"] == {"command": "score a={a}/x --sharpness-reference {a}/x"}
    report = {"rows": [{"name": "b", "stage": "b"}], "x_to_stage": {0.5: "e"}, "grids": ["b", "c"]}
    expected = {"rows": [{"name": "b", "stage": "a"}], "x_to_stage": {0.5: "d"}, "grids": ["a", "c"]}
    assert renamed(report, names) == expected


def test_every_configuration_folder_has_an_experiment():
    assert {file.parent for file in EXPERIMENTS} == {folder for folder in CONFIGS.iterdir() if folder.is_dir()}
