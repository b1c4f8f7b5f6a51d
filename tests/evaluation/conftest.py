"""The tiny data set as real data, an extractor for its images, and sample sets of known quality."""

from __future__ import annotations

import pytest
import torch

from ganmc_lightning.evaluation import load_datamodule
from ganmc_lightning.evaluation.samples import StoredSamples
from ganmc_lightning.metrics import ClassifierExtractor
from ganmc_lightning.networks import FiveLayerCNN


@pytest.fixture
def data(data_root, tmp_path, monkeypatch):
    """108 training, 12 validation and 40 test images of 8 pixels in 3 classes; the cache goes below tmp_path."""
    monkeypatch.setenv("GANMC_DATA", str(tmp_path / "root"))
    return load_datamodule(str(data_root / "tiny.npz"))


@pytest.fixture(scope="session")
def extractor():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClassifierExtractor(FiveLayerCNN(1, 8, 3, (4, 6, 8, 12)))


@pytest.fixture
def make_set():
    """Create a sample set of given images."""

    def make(samples, name="given"):
        return StoredSamples(name, "memory", samples)

    return make
