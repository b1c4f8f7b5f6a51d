"""Each module can overfit a few samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.losses import ACGANLoss
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.runs.metrics_csv import read_metrics

MakeModule = Callable[..., CompressionModule]
Curves = Callable[[CompressionModule], dict[str, tuple[float, float]]]


@pytest.fixture
def curves(
    make_data: Callable[..., GANAugmentedDataModule], make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> Curves:
    """Trains on one batch of nine samples; returns the first value of each curve and the mean of the last ten."""

    def train(module: CompressionModule) -> dict[str, tuple[float, float]]:
        trainer = make_run_trainer(tmp_path, max_epochs=150, limit_val_batches=0)
        trainer.fit(module, make_data(train_size=9, batch_size=9))
        rows = read_metrics(tmp_path / "metrics.csv")
        names = {name for row in rows for name in row if name.startswith("train/")}
        curves = {name: [float(row[name]) for row in rows if name in row] for name in names}
        return {name.removeprefix("train/"): (curve[0], sum(curve[-10:]) / 10) for name, curve in curves.items()}

    return train


def test_classifier(make_module: MakeModule, curves: Curves) -> None:
    first, last = curves(make_module("classifier"))["loss"]
    assert last < 0.25 * first


@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")
def test_distillation(make_module: MakeModule, curves: Curves) -> None:
    module = make_module("distillation")
    module.student.eval()  # as load_network returns it
    got = curves(module)
    assert module.student.training
    assert got["loss"][1] < 0.5 * got["loss"][0]
    assert got["agreement"][1] > got["agreement"][0]


def test_acgan_classes(make_module: MakeModule, curves: Curves) -> None:
    """Without source loss, generator and discriminator fit the classes."""
    got = curves(make_module("acgan", loss=ACGANLoss(source_weight=0), lr=0.003, dropout=0.0))
    assert got["loss_discriminator"][1] < 0.5 * got["loss_discriminator"][0]
    assert got["loss_generator"][1] < 0.5 * math.log(3)  # log(3) is chance
    assert got["class_accuracy_real"][1] > 0.7
    assert got["class_accuracy_fake"][1] > 0.7


def test_acgan_source(make_module: MakeModule, curves: Curves) -> None:
    """On one batch, the discriminator separates real and generated samples."""
    got = curves(make_module("acgan", dropout=0.0))
    assert got["loss_discriminator"][1] < 0.7 * got["loss_discriminator"][0]
    assert got["discriminator_accuracy_real"][1] > 0.7
    assert got["discriminator_accuracy_fake"][1] > 0.6
    for loss, source in (("loss_discriminator", "discriminator"), ("loss_generator", "generator")):
        parts = got[f"loss_{source}_source"][1] + got[f"loss_{source}_classification"][1]
        assert got[loss][1] == pytest.approx(parts, rel=1e-4, abs=1e-5)
