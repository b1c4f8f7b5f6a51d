from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ganmc_lightning.callbacks import CompressionScoreMonitor
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.errors import InputError
from ganmc_lightning.metrics import compression_score
from ganmc_lightning.modules import ACGANModule, ClassifierModule
from ganmc_lightning.networks import MLP, ACGANDiscriminator, ACGANGenerator, Generator, generator_of_checkpoint
from ganmc_lightning.networks import part_of_checkpoint
from ganmc_lightning.runs.metrics_csv import MetricsCSV, read_metrics
from ganmc_lightning.synthesizers import GeneratorSynthesizer

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
student = partial(MLP, 64, 3, hidden=(16,))


@pytest.fixture
def teacher(make_data: MakeData, make_trainer: MakeTrainer) -> MLP:
    network = MLP(64, 3, hidden=(16,))
    make_trainer(max_epochs=20).fit(ClassifierModule(network, partial(torch.optim.Adam, lr=0.01)), make_data())
    return network


class Recalling(Generator):
    """A generator that has learned the data set by heart, or that makes noise from one epoch on."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__(latent_size=1, num_classes=3, sample_shape=(1, 8, 8))
        self.by_class = [images[labels == label] for label in range(3)]
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("asleep", torch.zeros(()))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        pick = (latents.flatten().abs() * 1000).long()
        rows = [self.by_class[label][k % len(self.by_class[label])] for k, label in zip(pick, labels, strict=True)]
        return torch.stack(rows) * (1 - self.asleep) + self.weight * 0


class FallsAsleep(ACGANModule):
    def on_train_epoch_start(self) -> None:
        if self.current_epoch > 0:
            self.generator.asleep.fill_(1.0)


def test_score_is_logged_and_the_checkpoint_follows_it(
    make_data: MakeData, make_run_folder_trainer: MakeTrainer, teacher: MLP, tmp_path: Path
) -> None:
    """The generator is perfect in the first epoch and blank afterwards: the first is the best checkpoint."""
    data = make_data(batch_size=27)
    data.prepare_data()
    data.setup("fit")
    images, labels = data.samples("train")
    generator = Recalling(images.float() * (2 / 255) - 1, labels)
    module = FallsAsleep(generator, ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_run_folder_trainer(
        callbacks=[CompressionScoreMonitor(teacher, student, form="paper")],
        monitor="val/compression_score",
        max_epochs=3,
    )
    trainer.fit(module, data)
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "val/compression_score" in row]
    scores = [float(row["val/compression_score"]) for row in rows]
    assert scores[0] > 0.8
    assert scores[1] < 0.5
    assert scores[1] == pytest.approx(scores[2])  # the same samples, the same students
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert best["epoch"] == 0
    assert best["state_dict"]["generator.asleep"] == 0
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 2
    assert not any(name.startswith("teacher") for name in best["state_dict"])


@pytest.fixture
def make_run_folder_trainer(make_trainer: MakeTrainer, tmp_path: Path) -> MakeTrainer:
    from lightning.pytorch.callbacks import ModelCheckpoint

    def make(callbacks: list[object], monitor: str, **arguments: object) -> Trainer:
        saving = ModelCheckpoint(
            tmp_path, "best", monitor=monitor, mode="max", save_last=True, enable_version_counter=False
        )
        return make_trainer(
            callbacks=[*callbacks, saving],
            logger=MetricsCSV(str(tmp_path)),
            enable_checkpointing=True,
            **arguments,
        )

    return make
