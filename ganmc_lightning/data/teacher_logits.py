"""Cache of a teacher's logits for samples that are returned more than once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ganmc_lightning.synthesizers.pooled import PooledSynthesizer, compute_logits


def served_repeatedly(trainer: Trainer, num_samples: int, batch_size: int, p_fake: float) -> bool:
    """Return whether training uses each real sample at least twice on average, so that caching its logits saves time.

    Args:
        trainer: trainer; its maximum numbers of epochs and steps define the length of training.
        num_samples: number of real training samples.
        batch_size: number of samples in a batch.
        p_fake: share of synthetic samples.
    """
    batches = float(trainer.num_training_batches)
    if trainer.max_epochs is not None and trainer.max_epochs >= 0:
        batches *= trainer.max_epochs
    elif trainer.max_steps < 0:  # unlimited
        return p_fake < 1
    if trainer.max_steps >= 0:
        batches = min(batches, trainer.max_steps)
    return (1 - p_fake) * batches * batch_size >= 2 * num_samples


class TeacherLogits:
    """Logits of a batch, from a cache if available, else from the teacher.

    Args:
        teacher: function of samples (N, *sample_shape) that returns logits (N, K), without a graph and without random
            layers.
        stored: training samples to compute logits of, uint8 (N, C, H, W) or float (N, D); None if real samples are
            augmented, not in memory, or used too rarely.
        pool: pool of synthetic samples with cached logits, or None.

    Example:
        >>> rows = torch.tensor([[1.0], [2.0], [3.0]])
        >>> logits = TeacherLogits(lambda samples: 10 * samples, stored=rows, pool=None)
        >>> logits(rows[1:], index=torch.tensor([1, 2]), synthetic=None, synthetic_logits=None)
        tensor([[20.],
                [30.]])
    """

    def __init__(
        self, teacher: Callable[[Tensor], Tensor], stored: Tensor | None, pool: PooledSynthesizer | None
    ) -> None:
        self.teacher = teacher
        self.table = None if stored is None else compute_logits(teacher, stored)
        if pool is not None:
            pool.set_teacher(teacher)

    def __call__(
        self, real: Tensor, index: Tensor | None, synthetic: Tensor | None, synthetic_logits: Tensor | None
    ) -> Tensor | None:
        """Return the logits of a batch, synthetic samples first, float (N, K).

        Args:
            real: real samples of the batch, as passed to the student.
            index: indices of the real samples in the training set, int64; None without stored samples.
            synthetic: synthetic samples of the batch, or None.
            synthetic_logits: logits of the synthetic samples from the pool, or None.

        Returns:
            The logits; None if no logits of the batch are cached, so that the module runs the teacher.
        """
        table = None if index is None else self.table
        if synthetic_logits is None and (table is None or len(real) == 0):
            return None
        chunks = []
        if synthetic is not None:
            chunks.append(self._compute(synthetic) if synthetic_logits is None else synthetic_logits)
        if len(real) > 0:
            chunks.append(self._compute(real) if table is None or index is None else table.index_select(0, index))
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks)

    def _compute(self, samples: Tensor) -> Tensor:
        if samples.dim() == 4:
            samples = samples.to(memory_format=torch.channels_last)
        return self.teacher(samples).float()
