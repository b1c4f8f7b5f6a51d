"""Shipped configurations, run on random data in a folder that has the checkpoints they name."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.rounds import ROOT, Worker

# A CPU runs the teacher and the generator on few images: their number does not change the time of a step.
ON_GPU = torch.cuda.is_available()
TRAIN_SIZES = {"cifar10": 45_000 if ON_GPU else 1296, "fashion_mnist": 54_000 if ON_GPU else 18_432}
POOL_SIZE = 10_000 if ON_GPU else 512
SHAPES = {"cifar10": (32, 3), "fashion_mnist": (28, 1)}
CLASSES = 10
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "auto"}


@dataclass(frozen=True)
class Checkout:
    """A version of the project and a folder with its runs.

    Attributes:
        source: root of the project.
        folder: working directory of the runs.
    """

    folder: Path
    source: Path = ROOT

    def config(self, path: str) -> dict[str, Any]:
        """Read a shipped configuration."""
        config: dict[str, Any] = yaml.safe_load((self.source / "configs" / path).read_text())
        return config

    def worker(self) -> Worker:
        """Start a worker that runs ``ganmc`` of this version."""
        return Worker("fit.py", self.folder, self.source)

    def write(self, name: str, config: dict[str, Any]) -> Path:
        """Write a configuration, with its run folder in this folder."""
        trainer = {"default_root_dir": f"runs/{name}", **QUIET}
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**config, "trainer": {**config.get("trainer", {}), **trainer}}))
        return file

    def write_timed(self, config: dict[str, Any]) -> Path:
        """Write a configuration to be timed in a new run folder: no validation, and the callback that times steps."""
        trainer = dict(config["trainer"])
        trainer |= {"limit_val_batches": 0, "max_epochs": -1}  # ends on request
        trainer["callbacks"] = [*trainer.get("callbacks", []), {"class_path": "round_timer.RoundTimer"}]
        return self.write(f"timed-{len(list(self.folder.glob('timed-*.yaml')))}", {**config, "trainer": trainer})

    def prepare(self, paths: Iterable[str]) -> None:
        """Write random data, and train the networks that other configurations load for one step."""
        write_data(self.folder / "data")
        with self.worker() as worker:
            worker.receive()
            for path in paths:
                config = self.config(path)
                run = Path(config["trainer"]["default_root_dir"])
                config.pop("checkpoint", None)
                config["data"] |= {"batch_size": 2}
                config["trainer"] = {"max_steps": 1, "limit_val_batches": 1}
                file = self.write(run.as_posix().replace("/", "-"), config)
                arguments = ["fit", "--config", str(file), "--trainer.default_root_dir", str(run)]
                if worker.ask(arguments=arguments)["status"] != 0:
                    sys.exit(f"{path} could not be trained, see {self.folder / 'workers.log'}")
                checkpoints = self.folder / run / "checkpoints"
                (checkpoints / "last.ckpt").replace(checkpoints / "best.ckpt")


def write_data(folder: Path) -> None:
    """Write random images in the shapes of the data sets; a tenth is used for validation."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, (size, channels) in SHAPES.items():
        arrays = {}
        for split, n in (("train", TRAIN_SIZES[name] * 10 // 9), ("test", 100)):
            arrays[f"{split}_images"] = random.integers(0, 256, (n, size, size, channels), np.uint8)
            arrays[f"{split}_labels"] = np.arange(n) % CLASSES
        np.savez(folder / f"{name}.npz", **arrays)


def pooled(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with a pool that is filled once, and cached logits."""
    data = dict(config["data"])
    if data.get("p_fake", 0) > 0:
        data["synthesizer"] = {
            "class_path": "ganmc_lightning.synthesizers.PooledSynthesizer",
            "init_args": {"synthesizer": _innermost(data["synthesizer"]), "size": POOL_SIZE, "refresh": 0.0},
        }
    return {**config, "data": data}


def unpooled(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration that runs the generator in every step."""
    return {**config, "data": {**config["data"], "synthesizer": _innermost(config["data"]["synthesizer"])}}


def uncached(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration that runs the teacher in every step."""
    return {**config, "data": {**config["data"], "cache_logits": False}}


def real_only(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without synthetic images."""
    return {**config, "data": {**config["data"], "p_fake": 0.0, "synthesizer": None}}


def with_trainer(config: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a configuration with other arguments of the trainer."""
    return {**config, "trainer": {**config["trainer"], **values}}


def _innermost(synthesizer: dict[str, Any]) -> dict[str, Any]:
    while "synthesizer" in synthesizer.get("init_args", {}):
        synthesizer = synthesizer["init_args"]["synthesizer"]
    return synthesizer
