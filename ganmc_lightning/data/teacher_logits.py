"""Cache of a teacher's logits for samples that are returned more than once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.splits import Split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer, compute_logits


def samples_to_label(train: Split, uses: float, *, required: bool, obstacle: str) -> Tensor | None:
    """Return the real samples whose logits are computed once, or None to run the teacher in every step.

    Args:
        train: training samples.
        uses: average number of uses of each sample; fewer than 2 save no time.
        required: whether the logits must be cached.
        obstacle: reason why cached logits would be wrong, or "".

    Raises:
        ConfigurationError: logits are required but cannot be cached.
    """
    if not isinstance(train, TensorDataset):
        obstacle = obstacle or "the data set is read from files"
    if required and obstacle:
        raise ConfigurationError(f"data.cache_logits: got true, but {obstacle}; expected null or false")
    if obstacle or not isinstance(train, TensorDataset) or (uses < 2 and not required):
        return None
    return train.inputs


class TeacherLogits:
    """Logits of a batch, from a cache if available, else from the teacher.

    Args:
        teacher: function of samples (N, *sample_shape) that returns logits (N, K), without a graph and without random
            layers.
        stored: training samples to compute logits of, uint8 (N, C, H, W) or float (N, D); None if real samples are
            augmented, not in memory, or used too rarely.
        pool: pool of synthetic samples with cached logits, or None.
        identity: objects whose hash identifies the teacher, for the logits of a shared pool.

    Example:
        >>> rows = torch.tensor([[1.0], [2.0], [3.0]])
        >>> logits = TeacherLogits(lambda samples: 10 * samples, stored=rows, pool=None)
        >>> logits(rows[1:], index=torch.tensor([1, 2]), synthetic=None, synthetic_logits=None)
        tensor([[20.],
                [30.]])
    """

    def __init__(
        self,
        teacher: Callable[[Tensor], Tensor],
        stored: Tensor | None,
        pool: PooledSynthesizer | None,
        identity: object = None,
    ) -> None:
        self.teacher = teacher
        self.table = None if stored is None else compute_logits(teacher, stored)
        if pool is not None:
            pool.set_teacher(teacher, identity)

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
