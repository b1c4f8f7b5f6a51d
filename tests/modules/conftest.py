"""One small module of each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ExponentialLR

from ganmc_lightning.losses import ACGANLoss
from ganmc_lightning.modules import ACGANModule, ClassifierModule, CompressionModule, DistillationModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, MLPClassifier


def classifier() -> ClassifierModule:
    network = MLPClassifier(64, 3, hidden=(16,), dropout=0.3)
    return ClassifierModule(network, partial(Adam, lr=0.01), partial(ExponentialLR, gamma=0.98))


def distillation() -> DistillationModule:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    return DistillationModule(
        teacher, MLPClassifier(64, 3, hidden=(16,), dropout=0.3), optimizer=partial(Adam, lr=0.01)
    )


def acgan(loss: ACGANLoss | None = None, lr: float = 0.001, dropout: float = 0.5) -> ACGANModule:
    generator = ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=8, width=4)
    discriminator = ACGANDiscriminator(8, 1, num_classes=3, width=2, dropout=dropout)
    return ACGANModule(generator, discriminator, loss, partial(Adam, lr=lr), partial(Adam, lr=lr))


KINDS: dict[str, Callable[[], CompressionModule]] = {
    "classifier": classifier,
    "distillation": distillation,
    "acgan": acgan,
}


@pytest.fixture
def make_module() -> Callable[..., CompressionModule]:
    """Return a function that builds a module by name with fixed initial weights."""

    def make(kind: str, **arguments: Any) -> CompressionModule:
        torch.manual_seed(0)
        return KINDS[kind](**arguments)

    return make
