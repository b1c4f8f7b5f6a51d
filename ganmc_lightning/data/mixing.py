"""Number of synthetic samples per training step, and concatenation of synthetic and real samples."""

from __future__ import annotations

import math
import random
from typing import Literal, get_args

import torch
from torch import Tensor

from ganmc_lightning.batch import Batch
from ganmc_lightning.exceptions import ConfigurationError

MixMode = Literal["per_sample", "per_batch"]
"""Whether ``p_fake`` is the share of synthetic samples in every batch, or the probability of a synthetic batch."""


def synthetic_count(step: int, batch_size: int, p_fake: float, mix_mode: MixMode, seed: int) -> int:
    """Return the number of synthetic samples in the batch of one step (GAN-MC, section 2.3).

    With ``"per_sample"``, every batch has ``p_fake * batch_size`` synthetic samples. The remainder is added in the next
    step, so that the average share is exact and batches differ by at most one sample. With ``"per_batch"``, the whole
    batch is synthetic with probability ``p_fake``, else real, as in the released code of GAN-MC.

    Args:
        step: index of the training step, from 0.
        batch_size: number of samples in the batch.
        p_fake: probability that a training sample is synthetic, in [0, 1].
        mix_mode: ``"per_sample"`` or ``"per_batch"``.
        seed: random seed for ``"per_batch"``, different in every step.

    Example:
        >>> [synthetic_count(step, 10, 0.25, "per_sample", seed=0) for step in range(4)]
        [2, 3, 2, 3]
    """
    if mix_mode == "per_batch":
        return batch_size if random.Random(seed).random() < p_fake else 0
    share = p_fake * batch_size
    return math.floor((step + 1) * share + 1e-6) - math.floor(step * share + 1e-6)


def check_mixing(p_fake: float, has_synthesizer: bool, batch_size: int, mix_mode: MixMode) -> None:
    """Validate the arguments of a data module.

    Raises:
        ConfigurationError: ``p_fake`` is not in [0, 1] or requires a synthesizer, ``batch_size`` is not positive, or
            ``mix_mode`` is unknown.
    """
    if mix_mode not in get_args(MixMode):
        raise ConfigurationError(f"data.mix_mode: got '{mix_mode}', expected one of {', '.join(get_args(MixMode))}")
    if not 0 <= p_fake <= 1:
        raise ConfigurationError(f"data.p_fake: got {p_fake}, expected a value in [0, 1]")
    if p_fake > 0 and not has_synthesizer:
        raise ConfigurationError(f"data.synthesizer: got none with data.p_fake {p_fake}, expected a synthesizer")
    if batch_size < 1:
        raise ConfigurationError(f"data.batch_size: got {batch_size}, expected at least 1")


def concat_synthetic(
    real: tuple[Tensor, Tensor],
    synthetic: tuple[Tensor, Tensor] | None,
    teacher_logits: Tensor | None = None,
    weights: Tensor | None = None,
) -> Batch:
    """Concatenate synthetic and real samples into a batch, synthetic samples first.

    Images are returned in channels-last memory format, which makes convolutions up to a third faster.

    Args:
        real: float inputs and int64 labels of the real samples; may be empty.
        synthetic: inputs and labels of the synthetic samples, or None.
        teacher_logits: float (N, K) of the whole batch, or None.
        weights: weights of the real samples, or None; synthetic samples have the mean weight 1.

    Example:
        >>> real, synthetic = (torch.ones(2, 1), torch.tensor([0, 1])), (torch.zeros(1, 1), torch.tensor([1]))
        >>> concat_synthetic(real, synthetic).synthetic
        tensor([ True, False, False])
    """
    inputs, labels = real
    count = 0
    if synthetic is not None:
        count = len(synthetic[1])
        inputs, labels = torch.cat([synthetic[0], inputs]), torch.cat([synthetic[1], labels])
    if inputs.dim() == 4:
        # Not `contiguous`: for one channel, which fits both formats, it would keep channels-first strides.
        inputs = inputs.to(memory_format=torch.channels_last)
    if weights is not None:
        weights = torch.cat([weights.new_ones(count), weights])
    return Batch(inputs, labels, torch.arange(len(labels), device=labels.device) < count, teacher_logits, weights)
