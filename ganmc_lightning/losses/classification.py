"""Cross-entropy that leaves out samples whose class nobody knows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses.precision import at_least_float32


def hard_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the samples with a known label; 0 when there is none.

    Args:
        logits: float (N, K).
        labels: int64 (N,) in [0, K) or :data:`~ganmc_lightning.batch.UNKNOWN_LABEL`.
        weights: of the samples, float (N,), 1 on average over the data set; None where all count alike.

    Returns:
        Scalar in nats, float32 or wider.
    """
    logits = at_least_float32(logits)
    if weights is not None:
        losses = F.cross_entropy(logits, labels, ignore_index=UNKNOWN_LABEL, reduction="none")
        return (losses * weights).sum() / (labels != UNKNOWN_LABEL).sum().clamp(min=1)
    total = F.cross_entropy(logits, labels, ignore_index=UNKNOWN_LABEL, reduction="sum")
    return total / (labels != UNKNOWN_LABEL).sum().clamp(min=1)
