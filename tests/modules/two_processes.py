"""Train in two processes; started by test_two_processes.py, which reads the files of both."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.optim import SGD, Adam

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.data import GANAugmentedDataModule, RandomCropFlip
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import ACGANModule, ClassifierModule, CompressionModule, DistillationModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, MLPClassifier
from ganmc_lightning.synthesizers import JitterSynthesizer


class Recorder(Callback):
    """Save the batches, weights and metrics of a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.noise: list[torch.Tensor] = []
        self.batches: list[tuple[torch.Tensor, ...]] = []
        self.validated = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if isinstance(pl_module, ACGANModule):
            pl_module.generator.register_forward_pre_hook(
                lambda _, arguments: self.noise.append(arguments[0].clone()) if trainer.training else None
            )

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(tuple(batch))

    def on_validation_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, *_: Any) -> None:
        self.validated += len(batch.labels)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        average = next((c._average for c in trainer.callbacks if isinstance(c, GeneratorEMA)), {})
        content = {
            "parameters": {name: value.detach() for name, value in pl_module.named_parameters()},
            "average": {name: value for name, value in average.items() if "running" not in name},
            "noise": self.noise,
            "batches": self.batches,
            "validated": self.validated,
            "metrics": dict(trainer.callback_metrics),
            "iteration": pl_module.iteration,
            "global_step": trainer.global_step,
        }
        torch.save(content, self.path.with_suffix(f".rank{trainer.global_rank}.pt"))


def make(kind: str, data: Path) -> tuple[CompressionModule, GANAugmentedDataModule]:
    torch.manual_seed(0)
    source = NpzFile(data)
    if kind == "acgan":
        generator = ACGANGenerator(8, 1, 3, latent_dim=8, width=4)
        return ACGANModule(generator, ACGANDiscriminator(8, 1, 3, width=2)), GANAugmentedDataModule(
            source, batch_size=9
        )
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    module = DistillationModule(teacher, MLPClassifier(64, 3, dropout=0.2), optimizer=partial(Adam, lr=0.01))
    stream = {"synthesizer": JitterSynthesizer(), "p_fake": 0.5, "augment": RandomCropFlip(1)}
    return module, GANAugmentedDataModule(source, batch_size=9, **stream)


def train(kind: str, strategy: str, folder: Path, data: Path, epochs: int, resume: bool) -> None:
    module, datamodule = make(kind, data)
    name = f"{kind}_resumed" if resume else kind
    saving = ModelCheckpoint(folder / kind, "run", enable_version_counter=False, save_on_train_epoch_end=False)
    averaging = [GeneratorEMA(0.9)] if kind == "acgan" else []
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        max_epochs=epochs,
        callbacks=[*averaging, Recorder(folder / name), saving],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    trainer.fit(module, datamodule, ckpt_path=folder / kind / "run.ckpt" if resume else None)


def validate(devices: int, folder: Path, data: Path) -> None:
    """Score a network on 15 samples: shares of 8 and 7, which are two batches and one."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8, momentum=0.0), nn.Linear(8, 3))
    trainer = Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_fork",
        max_epochs=1,
        callbacks=[Recorder(folder / f"odd_{devices}")],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    module = ClassifierModule(network, optimizer=partial(SGD, lr=0.0))
    trainer.fit(module, GANAugmentedDataModule(NpzFile(data), batch_size=7, validation_fraction=0.125))


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, data = map(Path, sys.argv[1:])
    validate(2, folder, data)
    train("distillation", "ddp_fork", folder, data, epochs=2, resume=False)
    train("acgan", "ddp_fork", folder, data, epochs=2, resume=False)
    train("acgan", "ddp_fork", folder, data, epochs=3, resume=True)
    validate(1, folder, data)
