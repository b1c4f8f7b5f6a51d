"""Random data sets of realistic size, and checkpoints for the timed runs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from ganmc_lightning.cli import main

SIZES = {"fashion_mnist": (60_000, 10_000, 28, 1), "cifar10": (50_000, 10_000, 32, 3)}
SOURCES = {"fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}


@dataclass(frozen=True)
class Workspace:
    """A folder with data, checkpoints and configurations.

    Attributes:
        folder: path of the folder.
    """

    folder: Path

    def checkpoint(self, data: str, stage: str) -> Path:
        """Return the path of a stage's checkpoint."""
        return self.folder / data / stage / "checkpoints" / "last.ckpt"

    def fit(self, data: str, stage: str, config: dict[str, object], *extra: str) -> list[str]:
        """Write a stage's configuration and return its command line."""
        file = self.folder / f"{data}-{stage}.yaml"
        file.write_text(yaml.safe_dump(config))
        out = self.folder / data / stage
        return ["fit", "--config", str(file), "--trainer.default_root_dir", str(out), *QUIET, *extra]


QUIET = ("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false", "--trainer.accelerator=auto")


def network(name: str, **arguments: object) -> dict[str, object]:
    """Return the configuration of a network."""
    return {"class_path": f"ganmc_lightning.networks.{name}", "init_args": arguments}


def data_config(data: str, batch_size: int, **extra: object) -> dict[str, object]:
    """Return the data section of a configuration."""
    return {"dataset": f"ganmc_lightning.data.datasets.{SOURCES[data]}", "batch_size": batch_size, **extra}


def make_workspace(folder: Path) -> Workspace:
    """Write random data sets, and for each a teacher and an AC-GAN after one step, which is sufficient for timing."""
    os.environ["GANMC_DATA"] = str(folder / "data")
    (folder / "data").mkdir()
    random = np.random.default_rng(0)
    workspace = Workspace(folder)
    for data, (train, test, size, channels) in SIZES.items():
        arrays = {}
        for split, n in (("train", train), ("test", test)):
            arrays[f"{split}_images"] = random.integers(0, 256, (n, size, size, channels), np.uint8)
            arrays[f"{split}_labels"] = np.arange(n) % 10
        np.savez(folder / "data" / f"{data}.npz", **arrays)
        shape = {"in_channels": channels, "image_size": size}
        teacher = {
            "class_path": "ganmc_lightning.modules.ClassifierModule",
            "init_args": {"network": network("FiveLayerCNN", **shape, widths=[16, 32, 64, 128], batch_norm=True)},
        }
        gan = {
            "class_path": "ganmc_lightning.modules.ACGANModule",
            "init_args": {
                "generator": network("ACGANGenerator", image_size=size, channels=channels, width=16),
                "discriminator": network("ACGANDiscriminator", image_size=size, channels=channels, width=8),
            },
        }
        for stage, model in (("teacher", teacher), ("acgan", gan)):
            config = {"model": model, "data": data_config(data, 64)}
            short = ("--trainer.max_steps=1", "--trainer.limit_val_batches=1")
            if main(workspace.fit(data, stage, config, *short)) != 0:
                sys.exit(f"the {stage} of {data} could not be trained")
    return workspace


def distillation_config(
    workspace: Workspace, data: str, student: dict[str, object], batch_size: int
) -> dict[str, object]:
    """Return a distillation from the workspace's teacher, with half of each batch from its AC-GAN."""
    teacher = {
        "class_path": "ganmc_lightning.networks.load_network",
        "init_args": {"path": str(workspace.checkpoint(data, "teacher")), "submodule": "network"},
    }
    generator = {
        "class_path": "ganmc_lightning.networks.load_generator",
        "init_args": {"path": str(workspace.checkpoint(data, "acgan"))},
    }
    synthesizer = {
        "class_path": "ganmc_lightning.synthesizers.GeneratorSynthesizer",
        "init_args": {"generator": generator},
    }
    return {
        "model": {
            "class_path": "ganmc_lightning.modules.DistillationModule",
            "init_args": {"teacher": teacher, "student": student},
        },
        "data": data_config(data, batch_size, p_fake=0.5, synthesizer=synthesizer),
    }
