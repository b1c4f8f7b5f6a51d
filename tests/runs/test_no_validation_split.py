"""Training on all training samples: the curve is that of the test split, and the last checkpoint is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from ganmc_lightning.callbacks import CompressionScoreMonitor
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import ACGANModule, ClassifierModule, DistillationModule
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    MLPClassifier,
    NormalizedInput,
    SubtractMeanImage,
)
from ganmc_lightning.runs.metrics_csv import read_metrics

pytestmark = pytest.mark.filterwarnings("ignore:Found .* in eval mode")

MakeData = Callable[..., GANAugmentedDataModule]


def centered() -> NormalizedInput:
    return NormalizedInput(SubtractMeanImage((1, 8, 8)), MLPClassifier(64, 3, hidden=()))


@pytest.fixture
def fit(make_data: MakeData, make_run_trainer: Callable[..., Trainer]) -> Callable[..., Trainer]:
    def run(folder: Path, module: Any, monitor: str | None = None, **arguments: Any) -> Trainer:
        trainer = make_run_trainer(folder, checkpoint={"monitor": monitor}, max_epochs=3, **arguments)
        trainer.fit(module, make_data(validation_fraction=0))
        return trainer

    return run


def test_the_test_curve_is_logged_as_such_and_selects_nothing(
    fit: Callable[..., Trainer], make_data: MakeData, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = ClassifierModule(MLPClassifier(64, 3, hidden=()))
    trainer = fit(tmp_path, module)
    rows = read_metrics(tmp_path / "metrics.csv")
    curve = [float(row["test/accuracy"]) for row in rows if row.get("test/accuracy")]
    assert len(curve) == 3
    assert not any(name.startswith("val/") for row in rows for name in row)
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 2
    for name, value in module.state_dict().items():
        assert torch.equal(best["state_dict"][name], value)
    data = make_data(validation_fraction=0)
    (tested,) = trainer.test(module, data, verbose=False)
    assert tested["test/accuracy"] == pytest.approx(curve[-1], abs=1e-6)


def test_monitor_of_test_samples_is_refused(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    message = r"checkpoint\.monitor: got test/accuracy with data\.validation_fraction 0, expected null"
    with pytest.raises(ConfigurationError, match=message):
        fit(tmp_path, ClassifierModule(MLPClassifier(64, 3, hidden=())), "test/accuracy")


def test_callbacks_that_select_a_gan_are_refused(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    generator = ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=8, width=4)
    module = ACGANModule(generator, ACGANDiscriminator(8, 1, num_classes=3, width=2))
    student = MLPClassifier(64, 3, hidden=())
    with pytest.raises(ConfigurationError, match="no validation samples"):
        fit(tmp_path, module, callbacks=[CompressionScoreMonitor(student, lambda: student)])


def test_mean_image_of_the_trained_network_is_that_of_all_training_images(
    fit: Callable[..., Trainer], make_data: MakeData, tmp_path: Path
) -> None:
    """A frozen teacher keeps its own."""
    teacher, student = centered(), centered()
    teacher.normalize.mean.fill_(5.0)
    fit(tmp_path, DistillationModule(teacher, student))
    data = make_data(validation_fraction=0)
    data.prepare_data()
    data.setup("fit")
    expected = data.samples("train")[0].double().mean(dim=0).float()
    assert torch.equal(student.normalize.mean, expected)
    assert torch.equal(teacher.normalize.mean, torch.full((1, 8, 8), 5.0))
    saved = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(saved["student.normalize.mean"], expected)
