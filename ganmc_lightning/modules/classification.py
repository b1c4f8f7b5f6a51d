"""Base class of the modules that train a classifier."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from torch import Tensor

from ganmc_lightning.batch import Batch
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.modules.metric_logging import classification_sums


class ClassificationModule(CompressionModule, ABC):
    """Base class of modules that train a classifier: forward pass, evaluation and prediction.

    Subclasses name the classifier in ``trained_module`` and define ``training_step``.
    """

    finite_metrics: ClassVar[tuple[str, ...]] = ("val/cross_entropy",)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, K) of the trained network."""
        logits: Tensor = self.get_submodule(self.trained_module)(inputs)
        return logits

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/accuracy`` and ``val/cross_entropy``."""
        self.record_samples(*classification_sums(self(batch.inputs), batch.labels), prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``test/accuracy`` and ``test/cross_entropy``."""
        self.record_samples(*classification_sums(self(batch.inputs), batch.labels), prog_bar=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return class probabilities (N, K)."""
        return at_least_float32(self(batch.inputs)).softmax(dim=1)
