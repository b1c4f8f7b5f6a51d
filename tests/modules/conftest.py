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

from ganmc_lightning.losses import (
    ACGANLoss,
    GANLoss,
    GeneratorDistillationLoss,
    HintLoss,
    KnowledgeDistillationLoss,
    WassersteinGPLoss,
)
from ganmc_lightning.modules import (
    ACGANModule,
    AdversarialCompressionModule,
    ClassifierModule,
    CompressionModule,
    DistillationModule,
    GANCompressionModule,
    GANModule,
)
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    FeatureDiscriminator,
    MLPClassifier,
)


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


def hints() -> DistillationModule:
    loss = HintLoss([("1", "features")], logits_loss=KnowledgeDistillationLoss())
    return DistillationModule(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)), MLPClassifier(64, 3, (16,)), loss
    )


def anc() -> AdversarialCompressionModule:
    return AdversarialCompressionModule(
        MLPClassifier(64, 3, (8,)), MLPClassifier(64, 3, (16,)), FeatureDiscriminator(8), dropout=0.0
    )


def gan(loss: GANLoss | None = None) -> GANModule:
    normalization = "none" if isinstance(loss, WassersteinGPLoss) else "batch"
    discriminator = DCGANDiscriminator(8, 1, width=4, normalization=normalization)
    return GANModule(DCGANGenerator(8, 1, latent_dim=6, width=4), discriminator, loss, n_critic=2)


def gan_compression(alpha: float = 0.0) -> GANCompressionModule:
    loss = GeneratorDistillationLoss(alpha=alpha)
    discriminator = DCGANDiscriminator(8, 1, width=4) if alpha > 0 else None
    return GANCompressionModule(
        DCGANGenerator(8, 1, latent_dim=6, width=8), DCGANGenerator(8, 1, latent_dim=6, width=4), loss, discriminator
    )


collect_ignore = ["distributed_worker.py"]  # a script that imports this file, started by test_distributed.py

KINDS: dict[str, Callable[[], CompressionModule]] = {
    "classifier": classifier,
    "distillation": distillation,
    "hints": hints,
    "anc": anc,
    "gan": gan,
    "wgan_gp": partial(gan, WassersteinGPLoss()),
    "acgan": acgan,
    "gan_compression": gan_compression,
    "joint": partial(gan_compression, alpha=0.5),
}


@pytest.fixture
def make_module() -> Callable[..., CompressionModule]:
    """Return a function that builds a module by name with fixed initial weights."""

    def make(kind: str, **arguments: Any) -> CompressionModule:
        torch.manual_seed(0)
        return KINDS[kind](**arguments)

    return make
