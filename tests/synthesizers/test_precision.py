"""Every synthesizer in every precision of the trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.losses import KnowledgeDistillationLoss
from ganmc_lightning.modules import DistillationModule
from ganmc_lightning.networks import ACGANGenerator, MLPClassifier
from ganmc_lightning.synthesizers import (
    AdversarialForestSynthesizer,
    FilteredSynthesizer,
    GeneratorSynthesizer,
    JitterSynthesizer,
    MixupSynthesizer,
    MungeSynthesizer,
    PooledSynthesizer,
    SmoteSynthesizer,
    StoredSynthesizer,
    Synthesizer,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*eps of .* is raised:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*AMP with fp16 is not supported on CPU:UserWarning"),
]
PRECISIONS = ["32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true"]


def teacher() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def generated() -> Synthesizer:
    return GeneratorSynthesizer(ACGANGenerator(8, 1, 3, 6, 4))


def brightness() -> nn.Module:
    """Classify images by their mean: dark, gray or bright."""
    layer = nn.Linear(64, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-1 / 64, 0, 1 / 64])[:, None].expand(3, 64))
        layer.bias.copy_(torch.tensor([0, 0.5, 0]))
    return nn.Sequential(nn.Flatten(), layer)


IMAGES: dict[str, Callable[[str], Synthesizer]] = {
    "generated": lambda path: generated(),
    "pooled": lambda path: PooledSynthesizer(generated(), 64),
    "filtered": lambda path: FilteredSynthesizer(StoredSynthesizer(path), brightness()),
    "stored": lambda path: StoredSynthesizer(path),
    "jitter": lambda path: JitterSynthesizer(),
    "mixup": lambda path: MixupSynthesizer(),
}
ROWS: dict[str, Callable[[], Synthesizer]] = {
    "munge": MungeSynthesizer,
    "smote": SmoteSynthesizer,
    "adversarial forest": lambda: AdversarialForestSynthesizer(n_trees=3),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", IMAGES)
def test_on_images(
    name: str,
    precision: str,
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
    tmp_path: Path,
) -> None:
    """The synthesizer runs in float32 or under autocast, the teacher in the precision of the run."""
    torch.manual_seed(0)
    labels = np.arange(30) % 3
    images = np.broadcast_to((127 * labels).astype(np.uint8)[:, None, None, None], (30, 8, 8, 1))
    np.savez(tmp_path / "stored.npz", images=images, labels=labels)
    data = make_data(p_fake=0.5, synthesizer=IMAGES[name](str(tmp_path / "stored.npz")))
    trainer = make_trainer(max_epochs=2, limit_train_batches=3, precision=precision)
    trainer.fit(DistillationModule(teacher(), MLPClassifier(64, 3), KnowledgeDistillationLoss()), data)
    assert trainer.callback_metrics["train/loss"].isfinite()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ROWS)
def test_on_rows(
    name: str, precision: str, make_data: Callable[..., Any], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    labels = np.arange(60) % 3
    rows = np.random.default_rng(0).normal(size=(60, 2)) + labels[:, None]
    np.savez(tmp_path / "rows.npz", X_train=rows, y_train=labels, X_test=rows, y_test=labels)
    data = make_data(dataset=NpzFile(tmp_path / "rows.npz"), p_fake=0.5, synthesizer=ROWS[name]())
    trainer = make_trainer(max_epochs=1, limit_train_batches=2, precision=precision)
    trainer.fit(DistillationModule(nn.Linear(2, 3), MLPClassifier(2, 3, (4,))), data)
    assert trainer.callback_metrics["train/loss"].isfinite()
