"""Scores a generator in two processes; run by test_two_processes.py, which reads the file of rank 0."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Trainer

from ganmc_lightning.callbacks import CompressionScoreMonitor, GeneratorMetricsMonitor
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.evaluation.evaluator import FEATURE_METRICS
from ganmc_lightning.metrics import ClassifierExtractor
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, MLPClassifier


def validate(strategy: str, devices: int, path: Path, data: Path) -> None:
    """Score a generator that is not trained, so that the value does not depend on the number of processes."""
    torch.manual_seed(0)
    teacher = MLPClassifier(64, 3, hidden=(6,))
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    scores = GeneratorMetricsMonitor(
        ClassifierExtractor(teacher), (*FEATURE_METRICS, "laplacian_variance"), num_samples=50
    )
    compression = CompressionScoreMonitor(teacher, partial(MLPClassifier, 64, 3, hidden=(4,)))
    trainer = Trainer(
        accelerator="cpu",
        devices=devices,
        strategy=strategy,
        callbacks=[scores, compression],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data_module = GANAugmentedDataModule(NpzFile(data), batch_size=9, validation_fraction=0.125)
    (found,) = trainer.validate(module, data_module, verbose=False)
    torch.save(found, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, data = map(Path, sys.argv[1:])
    validate("ddp_fork", 2, folder / "two.pt", data)
    validate("auto", 1, folder / "one.pt", data)
