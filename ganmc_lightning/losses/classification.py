"""Cross-entropy that ignores samples without a known label."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses.precision import at_least_float32


def hard_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the samples with a known label; 0 if there are none.

    Args:
        logits: float (N, K).
        labels: int64 (N,) in [0, K) or :data:`~ganmc_lightning.batch.UNKNOWN_LABEL`.
        weights: sample weights, float (N,), with mean 1 over the data set; None for equal weights.

    Returns:
        Scalar in nats, float32 or wider.

    Example:
        >>> import torch
        >>> hard_cross_entropy(torch.zeros(3, 2), torch.tensor([0, 1, -1]))
        tensor(0.6931)
    """
    logits = at_least_float32(logits)
    losses = F.cross_entropy(logits, labels, ignore_index=UNKNOWN_LABEL, reduction="sum" if weights is None else "none")
    total = losses if weights is None else (losses * weights).sum()
    return total / (labels != UNKNOWN_LABEL).sum().clamp(min=1)
