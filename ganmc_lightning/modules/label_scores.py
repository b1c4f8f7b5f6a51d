"""How a classifier does on labelled data."""

from __future__ import annotations

from lightning.pytorch import LightningModule
from torch import Tensor

from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.modules.sample_means import log_sample_means


def log_classification_metrics(module: LightningModule, stage: str, logits: Tensor, labels: Tensor) -> None:
    """Log ``<stage>/accuracy`` and ``<stage>/cross_entropy``, exact over batches and processes.

    Args:
        module: who logs.
        stage: ``"val"`` or ``"test"``.
        logits: float (N, K); the scores are computed in float32 or wider.
        labels: int64 (N,).
    """
    scores = {
        f"{stage}/accuracy": (logits.argmax(dim=1) == labels).float().mean(),
        f"{stage}/cross_entropy": hard_cross_entropy(logits, labels),
    }
    log_sample_means(module, scores, len(labels), prog_bar=True)
