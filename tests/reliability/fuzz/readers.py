"""Readers of each kind of file, as commands and functions of the package call them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganmc_lightning.cli import main
from ganmc_lightning.compression.plan import read_plan
from ganmc_lightning.data.datasets import ImageFolder, NpzFile, TableFile
from ganmc_lightning.data.datasets.table_frame import read_target_table
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.run_state import read_run_state
from ganmc_lightning.io.samples import check_shape, read_folder_samples, read_npz_samples
from ganmc_lightning.metrics import ClassifierExtractor, reference
from ganmc_lightning.networks import load_generator, load_network
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.metrics_csv import read_learning_curves
from ganmc_lightning.synthesizers.pool_files import load_or_compute
from ganmc_lightning.tabular.teacher_files import load_teacher

Reader = Callable[[Path, Path, Path, random.Random], Any]
"""Function of the file, an output folder, the folder of the seeds and a random generator; returns an exit code."""


def command(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def read_network(path: Path, out: Path, seeds: Path, random_: random.Random) -> int | None:
    if path.suffix == ".pt2":
        load_network(str(path))(torch.zeros(2, 1, 8, 8))
        return None
    match random_.randrange(12):
        case 0:
            return command("sample", path, "--out", out / "samples.npz", "--num-samples", 4)
        case 1:
            return command("export", path, "--format", "safetensors", "--out", out / "export")
        case 2:
            config = seeds / "config" / "teacher.yaml"
            return command("fit", "--config", config, "--ckpt_path", path, "--trainer.default_root_dir", out / "run")
        case 3:
            return command("profile", f"a={path}", "--out", out / "profile", "--benchmark-seconds", "0.01")
        case 4 | 5:
            load_network(str(path), network=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
        case 6:
            load_generator(str(path))
        case 7:
            load_network(str(path), "network")
        case _:
            load_network(str(path))
    return None


def read_arrays(path: Path, out: Path, seeds: Path, random_: random.Random) -> int | None:
    match random_.randrange(8):
        case 0:
            data = seeds / "config" / "teacher.yaml"
            return command("evaluate", path, "--data", data, "--metrics", "laplacian_variance", "--out", out)
        case 1 | 2 | 3:
            check_shape(read_npz_samples(path), (1, 8, 8), str(path))
        case _:
            NpzFile(path).load(out)
    return None


def read_table(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    if random_.random() < 0.5:
        TableFile(path, "sold", categorical_columns=["color"] if random_.random() < 0.3 else ()).load(out)
    else:
        read_target_table(path, "sold")


def read_config(path: Path, out: Path, seeds: Path, random_: random.Random) -> int:
    if random_.random() < 0.1:
        short = ("--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu")
        return command("fit", "--config", path, "--trainer.default_root_dir", out / "run", *short)
    return command("fit", "--config", path, "--print_config")


def read_experiment(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    for run in plan_runs(load_experiment(path), out, (0,), quick=random_.random() < 0.5):
        assert out in run.folder.path.parents


def read_image_folder(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    if random_.random() < 0.5:
        read_folder_samples(path.parent, (3, 8, 8))
    else:
        ImageFolder(path.parent.parent, image_size=random_.choice((None, 8))).load(out)


def read_model(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    load_teacher(path, classes=[0, 1])


def read_metrics(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    file = RunFolder(out).metrics
    path.rename(file)
    if random_.random() < 0.5:
        read_learning_curves(file)
    else:
        logger = ResumableCSVLogger(str(out))
        logger.log_metrics({"train/loss": 1.0, "epoch": 3}, step=random_.choice((0, 5)))
        logger.finalize("success")


def read_result(path: Path, out: Path, seeds: Path, random_: random.Random) -> int | None:
    folder = RunFolder(out)
    path.rename(folder.result)
    match random_.randrange(4):
        case 0:
            generator = seeds / "checkpoint" / "acgan.ckpt"
            arguments = ("--metrics-json", folder.result, "--benchmark-seconds", "0.01")
            return command("profile", f"a={generator}", "--out", out / "profile", *arguments)
        case 1:
            folder.update_result(metrics={"test/accuracy": 0.5})
        case _:
            folder.read_result()
    return None


def read_state(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    read_run_state(path)


def read_compression_plan(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    (out / "runs").mkdir()
    path.rename(out / "runs" / "plan.json")
    read_plan(out, {"seed": 0})


def read_statistics(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    samples, extractor = torch.eye(5, 3), ClassifierExtractor(nn.Sequential(nn.Identity(), nn.Linear(3, 3)))
    name = reference._key(samples, extractor, 10_000)
    path.rename(out / f"{name}.npz")
    reference.compute_reference_statistics(samples, extractor, cache=out)


def read_pool(path: Path, out: Path, seeds: Path, random_: random.Random) -> None:
    (out / "pool").mkdir()
    path.rename(out / "pool" / "inputs.npy")
    load_or_compute(out / "pool", 10, lambda: [], torch.device("cpu"))


READERS: dict[str, Reader] = {
    "checkpoint": read_network,
    "safetensors": read_network,
    "exported": read_network,
    "onnx": read_network,
    "npz": read_arrays,
    "table": read_table,
    "config": read_config,
    "experiment": read_experiment,
    "image": read_image_folder,
    "skops": read_model,
    "metrics": read_metrics,
    "result": read_result,
    "state": read_state,
    "plan": read_compression_plan,
    "statistics": read_statistics,
    "pool": read_pool,
}
