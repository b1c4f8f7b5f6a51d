"""Synthetic samples drawn ahead in large batches and used several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, decode, encode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted

CHUNK = 1000
"""Samples generated and labeled in one pass."""


class _Pool(NamedTuple):
    """Samples, uint8 images or float rows (size, ...), labels (size,), and logits (size, K) where a teacher is set."""

    samples: Tensor
    labels: Tensor
    logits: Tensor | None


class PooledSynthesizer(Synthesizer):
    """Serves samples from a pool that another synthesizer fills.

    A generator and a teacher cost far more than a small student. The pool calls both on large batches, keeps the
    teacher's logits beside the samples, and serves each sample several times. At the start of every epoch the oldest
    ``refresh`` share of the pool is replaced, so that a sample lives for ``1 / refresh`` epochs and is served about
    ``p_fake * N / (size * refresh)`` times over ``N`` training samples an epoch.

    Images are stored as uint8, as real images are. The content of the pool depends on the seed of the run, the
    process and the epoch only: a resumed run fills the same pool.

    Args:
        synthesizer: source of the samples, such as a
            :class:`~ganmc_lightning.synthesizers.GeneratorSynthesizer` or a filtered one.
        size: number of samples in the pool.
        refresh: share of the pool replaced each epoch, in [0, 1]; 1 serves fresh samples each epoch, as the
            authors of GAN-MC do, 0 never replaces any.

    Raises:
        ConfigurationError: ``size`` is not positive or ``refresh`` lies outside [0, 1].

    Example:
        >>> from ganmc_lightning.synthesizers import JitterSynthesizer
        >>> pool = PooledSynthesizer(JitterSynthesizer(), size=8, refresh=0.5)
        >>> rows, labels = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
        >>> pool.fit(rows, labels, DataSpec((2,), 2))
        >>> pool.start_epoch(0, seed=0)
        >>> pool.sample(3)[0].shape
        torch.Size([3, 2])
    """

    def __init__(self, synthesizer: Synthesizer, size: int = 50_000, refresh: float = 0.25) -> None:
        if size < 1:
            raise ConfigurationError(f"PooledSynthesizer.size: got {size}, expected at least 1")
        if not 0 <= refresh <= 1:
            raise ConfigurationError(f"PooledSynthesizer.refresh: got {refresh}, expected a value in [0, 1]")
        self.synthesizer = synthesizer
        self.size = size
        self.refresh = refresh
        self._block_size = size if refresh == 0 else max(1, round(size * refresh))
        self._device: torch.device | None = None
        self._teacher: Callable[[Tensor], Tensor] | None = None
        self._pool: _Pool | None = None
        self._sources: list[tuple[int, int]] = []  # of each block: the seed and the epoch it was drawn with

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit the wrapped synthesizer; the pool is filled when the first epoch starts."""
        self.synthesizer.fit(inputs, labels, spec)
        self._device = labels.device
        self._teacher = None
        self._pool = None

    def set_teacher(self, teacher: Callable[[Tensor], Tensor]) -> None:
        """Keep a teacher's logits beside the samples from now on.

        Args:
            teacher: from samples (N, *sample_shape) to logits (N, K); its answers must not be random.
        """
        self._teacher = teacher
        if self._pool is not None:
            self._pool = self._pool._replace(logits=self._label(self._pool.samples))

    @torch.no_grad()
    def start_epoch(self, epoch: int, seed: int) -> None:
        """Replace the blocks of the pool that are due at the start of an epoch; see :class:`Synthesizer`."""
        if self._device is None:
            raise not_fitted(self)
        sources = [(seed, self._drawn_at(block, epoch)) for block in range(-(-self.size // self._block_size))]
        if self._pool is None:
            blocks = [self._draw(block, *source) for block, source in enumerate(sources)]
            logits = [block.logits for block in blocks if block.logits is not None]
            self._pool = _Pool(
                torch.cat([block.samples for block in blocks]),
                torch.cat([block.labels for block in blocks]),
                torch.cat(logits) if logits else None,
            )
        else:
            for block, source in enumerate(sources):
                if source != self._sources[block]:
                    self._replace(block, self._draw(block, *source))
        self._sources = sources

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        samples, labels, _ = self.sample_with_logits(n, generator)
        return samples, labels

    def sample_with_logits(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draw ``n`` samples, their labels, and the teacher's logits (n, K) where a teacher is set."""
        if self._pool is None:
            raise not_fitted(self)
        chosen = draw_indices(self.size, n, self._pool.labels.device, generator)
        samples, labels, logits = self._pool
        return decode(samples[chosen]), labels[chosen], None if logits is None else logits[chosen]

    def _drawn_at(self, block: int, epoch: int) -> int:
        """The last epoch up to ``epoch`` at whose start a block was drawn: epoch k > 0 replaces one, in turn."""
        blocks = -(-self.size // self._block_size)
        if self.refresh == 0 or epoch < block + 1:
            return 0
        return epoch - (epoch - 1 - block) % blocks

    def _draw(self, block: int, seed: int, epoch: int) -> _Pool:
        start = block * self._block_size
        n = min(self._block_size, self.size - start)
        # Blocks and epochs differ in the low 32 bits, the only ones that PyTorch's CPU generator uses.
        generator = torch.Generator(self._device).manual_seed((seed + 7919 * epoch + block) % 2**32)
        drawn = [self.synthesizer.sample(min(CHUNK, n - first), generator) for first in range(0, n, CHUNK)]
        samples = torch.cat([encode(samples) if samples.dim() == 4 else samples for samples, _ in drawn])
        return _Pool(samples, torch.cat([labels for _, labels in drawn]), self._label(samples))

    def _replace(self, block: int, drawn: _Pool) -> None:
        assert self._pool is not None
        start = block * self._block_size
        for held, fresh in zip(self._pool, drawn, strict=True):
            if held is not None and fresh is not None:
                held[start : start + len(fresh)] = fresh

    @torch.no_grad()
    def _label(self, samples: Tensor) -> Tensor | None:
        return None if self._teacher is None else stored_logits(self._teacher, samples)


def stored_logits(teacher: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Return a teacher's logits of stored samples, float32 (N, K), computed in large batches.

    Args:
        teacher: from samples (N, *sample_shape) to logits (N, K).
        samples: uint8 images (N, C, H, W) or float rows (N, D).
    """
    chunks = []
    for chunk in samples.split(CHUNK):
        inputs = decode(chunk)
        if inputs.dim() == 4:
            inputs = inputs.to(memory_format=torch.channels_last)
        chunks.append(teacher(inputs).float())
    return torch.cat(chunks)
