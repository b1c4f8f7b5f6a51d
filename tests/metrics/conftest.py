"""An extractor that returns rows as features, and an extractor for images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.metrics import ClassifierExtractor, Features
from ganmc_lightning.networks import FiveLayerCNN

NUM_FEATURES, NUM_CLASSES = 6, 4


@pytest.fixture(scope="session")
def rows_extractor():
    """Rows (N, 6) are their own features; the logits are a fixed mixture of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClassifierExtractor(nn.Linear(NUM_FEATURES, NUM_CLASSES), name="rows")


@pytest.fixture(scope="session")
def image_extractor():
    """A small CNN for gray images of 8 pixels: 12 features, 3 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClassifierExtractor(FiveLayerCNN(1, 8, 3, (4, 6, 8, 12)), name="images")


@pytest.fixture(scope="session")
def make_rows():
    """Correlated Gaussian rows float32 (n, features), moved and stretched."""

    def make(n, seed, shift=0.0, scale=1.0, features=NUM_FEATURES):
        generator = torch.Generator().manual_seed(seed)
        mixture = torch.randn(features, features, generator=torch.Generator().manual_seed(99))
        return shift + scale * torch.randn(n, features, generator=generator) @ mixture / features**0.5

    return make


@pytest.fixture(scope="session")
def make_images():
    """Gray noise of 8 pixels, uint8 (n, 1, 8, 8), in levels below ``top``."""

    def make(n, seed, top=256):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(top, (n, 1, 8, 8), dtype=torch.uint8, generator=generator)

    return make


@pytest.fixture(scope="session")
def as_features():
    """Features with logits of 0, for metrics that do not use logits."""

    def make(rows):
        return Features(rows.float(), torch.zeros(len(rows), NUM_CLASSES))

    return make
