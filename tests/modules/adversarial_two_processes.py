"""Train in two processes; started by test_adversarial_two_processes.py, which compares the files of both."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.optim import Adam

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.losses import HintLoss, L2LogitsLoss
from ganmc_lightning.modules import AdversarialCompressionModule, CompressionModule, DistillationModule
from ganmc_lightning.networks import FeatureDiscriminator, MLPClassifier


class End(Callback):
    """Save the first and the last weights of a process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.start = {name: value.detach().clone() for name, value in pl_module.named_parameters()}

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        content = {
            "start": self.start,
            "end": {name: value.detach() for name, value in pl_module.named_parameters()},
            "metrics": dict(trainer.callback_metrics),
            "iteration": pl_module.iteration,
        }
        torch.save(content, self.path.with_suffix(f".rank{trainer.global_rank}.pt"))


def make(kind: str) -> CompressionModule:
    torch.manual_seed(0)
    teacher, student = MLPClassifier(64, 3, hidden=(8,)), MLPClassifier(64, 3, hidden=(5,))
    adam = partial(Adam, lr=0.01)
    if kind == "hints":
        return DistillationModule(teacher, student, HintLoss([("features", "features")], 0.1, L2LogitsLoss()), adam)
    return AdversarialCompressionModule(
        nn.Sequential(teacher),
        student,
        FeatureDiscriminator(8, (6,)),
        teacher_layer="0.features",
        student_optimizer=adam,
        discriminator_optimizer=adam,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, data = map(Path, sys.argv[1:])
    for kind, strategy in (("adversarial", "ddp_fork"), ("hints", "ddp_fork")):
        trainer = Trainer(
            accelerator="cpu",
            devices=2,
            strategy=strategy,
            max_epochs=2,
            callbacks=[End(folder / kind)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        trainer.fit(make(kind), GANAugmentedDataModule(NpzFile(data), batch_size=9))
