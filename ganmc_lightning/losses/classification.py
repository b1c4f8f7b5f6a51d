"""Cross-entropy that leaves out samples whose class nobody knows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses.precision import at_least_float32


def label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the samples with a known label; 0 when there is none.

    Args:
        logits: float (N, K).
        labels: int64 (N,) in [0, K) or :data:`~ganmc_lightning.batch.UNKNOWN_LABEL`.

    Returns:
        Scalar in nats, float32 or wider.
    """
    total = F.cross_entropy(at_least_float32(logits), labels, ignore_index=UNKNOWN_LABEL, reduction="sum")
    return total / (labels != UNKNOWN_LABEL).sum().clamp(min=1)
