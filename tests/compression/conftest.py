"""A trained teacher of the tiny data set, and a fast compression of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.cards import measuring
from ganmc_lightning.compression import ClassifierCompression, LoadedSource, compress_classifier, training
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.networks import FiveLayerCNN, MLPClassifier

FACTORY = "ganmc_lightning.networks:MLPClassifier"


def fit(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network.eval()


def make_teacher(source: LoadedSource) -> nn.Module:
    train = source.splits.train
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MLPClassifier(in_features=train.inputs[0].numel(), num_classes=3, hidden=[32])
        return fit(network, to_float_images(train.inputs), train.labels)


@pytest.fixture(scope="session")
def gray(data_root: Path) -> LoadedSource:
    """The tiny data set: gray images of 8 pixels."""
    return LoadedSource(NpzFile(data_root / "tiny.npz"))


@pytest.fixture(scope="session")
def teacher(gray: LoadedSource) -> nn.Module:
    return make_teacher(gray)


@pytest.fixture(scope="session")
def convolutional(gray: LoadedSource) -> nn.Module:
    """A teacher of 8,251 parameters, more than ten times those of the smallest proposed student."""
    train = gray.splits.train
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = FiveLayerCNN(image_size=8, widths=(8, 16, 32, 64), batch_norm=True, in_channels=1, num_classes=3)
        return fit(network, to_float_images(train.inputs), train.labels)


Compress = Callable[..., ClassifierCompression]


@pytest.fixture(autouse=True)
def _short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "LATENCY_SECONDS", 0.01)
    monkeypatch.setattr(training, "MEASURED_STEPS", 2)
    monkeypatch.setattr("ganmc_lightning.compression.compress.candidate_precisions", lambda: ("32-true",))


@pytest.fixture
def compress(gray: LoadedSource, teacher: nn.Module) -> Compress:
    """Compress the teacher with settings that make it fast."""

    def run(out: Path, **arguments: Any) -> ClassifierCompression:
        fast = {
            "student": FACTORY,
            "student_arguments": {"in_features": 64, "hidden": [4]},
            "epochs": 2,
            "batch_size": 32,
            "flip": False,
            "formats": (),
            "report": lambda line: None,
        }
        return compress_classifier(teacher, gray, out, **{**fast, **arguments})

    return run
