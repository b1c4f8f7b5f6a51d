"""A teacher's logits of stored samples, computed once and served with the batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganmc_lightning.synthesizers.pooled import PooledSynthesizer, stored_logits


class TeacherLogits:
    """The logits that a batch brings along, from tables where there are any and from the teacher elsewhere.

    Real samples served without augmentation have a table with one row per training sample, pooled synthetic samples
    one in their :class:`~ganmc_lightning.synthesizers.PooledSynthesizer`.

    Args:
        teacher: from samples (N, *sample_shape) to logits (N, K), without a graph and without random parts.
        stored: the training samples, uint8 (N, C, H, W) or float (N, D); None where real samples are augmented, are
            not in memory, or are served too seldom for a table to pay.
        pool: the pool of synthetic samples, if there is one.
    """

    def __init__(
        self, teacher: Callable[[Tensor], Tensor], stored: Tensor | None, pool: PooledSynthesizer | None
    ) -> None:
        self.teacher = teacher
        self.table = None if stored is None else stored_logits(teacher, stored)
        self.pooled = pool is not None
        if pool is not None:
            pool.set_teacher(teacher)

    def __call__(
        self, real: Tensor, index: Tensor | None, synthetic: Tensor | None, synthetic_logits: Tensor | None
    ) -> Tensor | None:
        """Return the logits of a batch, synthetic samples first, float (N, K).

        Args:
            real: the real samples of the batch, as the student sees them.
            index: their numbers in the training set, int64; None where there is no table.
            synthetic: the synthetic samples, if there are any.
            synthetic_logits: their logits out of the pool.

        Returns:
            The logits, or None where no part of the batch has stored ones: the module then asks the teacher itself.
        """
        table = None if index is None else self.table
        if synthetic_logits is None and (table is None or len(real) == 0):
            return None
        parts = []
        if synthetic is not None:
            parts.append(self._ask(synthetic) if synthetic_logits is None else synthetic_logits)
        if len(real) > 0:
            parts.append(self._ask(real) if table is None or index is None else table.index_select(0, index))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _ask(self, samples: Tensor) -> Tensor:
        if samples.dim() == 4:
            samples = samples.to(memory_format=torch.channels_last)
        return self.teacher(samples).float()
