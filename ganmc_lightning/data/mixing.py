"""How many samples of a step are synthetic, and how they enter the batch."""

from __future__ import annotations

import math
import random
from typing import Literal

import torch
from torch import Tensor

from ganmc_lightning.batch import Batch

Mix = Literal["sample", "batch"]


def synthetic_count(step: int, batch_size: int, p_fake: float, mix: Mix, seed: int) -> int:
    """Number of synthetic samples in the batch of one step.

    ``"sample"`` gives each batch its share, ``p_fake * batch_size``, and carries the remainder to the next
    step, so that the share is exact in the long run and batches differ by one sample at most. ``"batch"``
    tosses one coin a batch, which is then all real or all synthetic, as the released code of GAN-MC does.

    Args:
        step: number of the training batch, from 0.
        batch_size: samples in the batch.
        p_fake: probability that a training sample is synthetic, in [0, 1].
        mix: per sample or per batch.
        seed: seeds the coin of ``"batch"``, of which every step needs another.

    Example:
        >>> [synthetic_count(step, 10, 0.25, "sample", 0) for step in range(4)]
        [2, 3, 2, 3]
    """
    if mix == "batch":
        return batch_size if random.Random(seed).random() < p_fake else 0
    share = p_fake * batch_size
    return math.floor((step + 1) * share + 1e-6) - math.floor(step * share + 1e-6)


def concat_synthetic(
    real: tuple[Tensor, Tensor], synthetic: tuple[Tensor, Tensor] | None, teacher_logits: Tensor | None = None
) -> Batch:
    """Put synthetic samples in front of the real ones.

    Images leave with their channels last in memory: convolutions then take up to a third of the time.

    Args:
        real: decoded inputs and labels; may be empty.
        synthetic: inputs and labels of the synthetic samples, if there are any.
        teacher_logits: float (N, K) of the whole batch in its order, if they are known.
    """
    inputs, labels = real
    count = 0
    if synthetic is not None:
        count = len(synthetic[1])
        inputs, labels = torch.cat([synthetic[0], inputs]), torch.cat([synthetic[1], labels])
    if inputs.dim() == 4:
        # Not by `contiguous`: it leaves images of one channel, which are both, marked as channels first.
        inputs = inputs.to(memory_format=torch.channels_last)
    return Batch(inputs, labels, torch.arange(len(labels), device=labels.device) < count, teacher_logits)
