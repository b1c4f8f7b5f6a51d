"""Pool of synthetic samples that are generated in large batches and returned several times."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, check_generated, to_float_images, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.format_version import FORMAT_VERSION
from ganmc_lightning.io.object_hash import hash_object
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error
from ganmc_lightning.synthesizers.mapped_files import MappedFiles
from ganmc_lightning.synthesizers.pool_files import load_or_compute

SHARED_SEED = 0
"""Seed of shared pools, independent of the seed of the run."""
_CHUNK = 1000  # number of samples per draw and teacher pass


class _Pool(NamedTuple):
    """Samples, uint8 images or float rows (size, ...), labels (size,), and logits (size, K) if a teacher is set."""

    samples: Tensor
    labels: Tensor
    logits: Tensor | None


class PooledSynthesizer(Synthesizer):
    """Return samples from a pool that is filled by another synthesizer.

    Generator and teacher are much slower than a small student. The pool runs both on large batches, caches the
    teacher's logits, and returns each sample several times. At the start of every epoch, the oldest ``refresh`` share
    of the pool is replaced. A sample is kept for ``1 / refresh`` epochs and returned about ``p_fake * N / (size *
    refresh)`` times for ``N`` training samples per epoch.

    With ``folder`` and ``refresh`` 0, the pool is shared: the first run writes samples and logits to files, and all
    later runs with an equal synthesizer load them, with any student, seed or ``p_fake``. Names are hashes of the
    format version, the synthesizer (weights and settings), the real training samples, ``size``, the type of device, the
    precision and, for logits, the teacher. On the CPU the files are mapped into memory.
    Each run selects samples in its own order, and processes of one run select disjoint samples.

    Images are stored as uint8, like real images. The content of the pool depends only on the seed of the run, the
    process and the epoch, so that a resumed run has an equal pool. A shared pool is equal in all runs.

    Args:
        synthesizer: synthesizer that fills the pool, e.g. a :class:`~ganmc_lightning.synthesizers.GeneratorSynthesizer`
            or :class:`~ganmc_lightning.synthesizers.FilteredSynthesizer`.
        size: number of samples in the pool (default: 50,000).
        refresh: share of the pool that is replaced per epoch, 0 or in [0.001, 1] (default: 0.25). With 1, every epoch
            has new samples, as in GAN-MC; 0 replaces none.
        folder: folder of shared pools, usually in the run folder of the generator; None for a pool in memory.

    Raises:
        ConfigurationError: ``size`` is not positive, ``refresh`` is out of range, or not 0 with ``folder``.

    Example:
        >>> from ganmc_lightning.synthesizers import JitterSynthesizer
        >>> pool = PooledSynthesizer(JitterSynthesizer(), size=8, refresh=0.5)
        >>> pool.fit(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), DataSpec((2,), 2))
        >>> pool.set_teacher(lambda rows: 10 * rows)
        >>> pool.start_epoch(0, seed=0)
        >>> rows, labels, logits = pool.sample_with_logits(3)
        >>> torch.equal(logits, 10 * rows)
        True
    """

    def __init__(
        self, synthesizer: Synthesizer, size: int = 50_000, refresh: float = 0.25, folder: str | None = None
    ) -> None:
        if size < 1:
            raise ConfigurationError(f"PooledSynthesizer.size: got {size}, expected at least 1")
        if refresh != 0 and not 0.001 <= refresh <= 1:
            raise ConfigurationError(f"PooledSynthesizer.refresh: got {refresh}, expected 0, or a value in [0.001, 1]")
        if folder is not None and refresh != 0:
            raise ConfigurationError(f"PooledSynthesizer.refresh: got {refresh} with a folder, expected 0")
        self.synthesizer = self._fitted = synthesizer
        self.size = size
        self.refresh = refresh
        self.folder = None if folder is None else Path(folder).expanduser()
        self._block_size = size if refresh == 0 else max(1, round(size * refresh))
        self._device: torch.device | None = None
        self._teacher: Callable[[Tensor], Tensor] | None = None
        self._pool: _Pool | None = None
        self._sources: list[tuple[int, int]] = []  # seed and epoch of the draw of each block
        self._started: tuple[int, int] | None = None  # seed and epoch that the wrapped synthesizer was prepared for
        self._key = ""  # hash of synthesizer and data, of a shared pool
        self._teacher_key = ""
        self._mapped = MappedFiles()
        self._rank, self._world_size = 0, 1

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit the wrapped synthesizer, of a shared pool a copy; the pool is filled at the start of the first epoch."""
        if self.folder is not None:  # before fit: fitted thresholds may differ by rounding
            self._key = hash_object([type(self), self.synthesizer, self.size, inputs, labels, spec])
            self._fitted = copy.deepcopy(self.synthesizer)  # later fits have an equal key
        self._fitted.fit(inputs, labels, spec)
        self._device = labels.device
        self._teacher = None
        self._pool = None
        self._started = None

    def set_process(self, rank: int, world_size: int) -> None:
        """Select disjoint samples of a shared pool in each process; other pools belong to one process.

        Args:
            rank: index of this process.
            world_size: number of processes.

        Raises:
            ConfigurationError: a shared pool has fewer samples than processes.
        """
        if self.folder is None:
            return
        if self.size < world_size:
            raise ConfigurationError(
                f"PooledSynthesizer.size: got {self.size} for {world_size} processes, expected at least one sample per "
                "process"
            )
        self._rank, self._world_size = rank, world_size

    def set_teacher(self, teacher: Callable[[Tensor], Tensor], identity: object = None) -> None:
        """Set the teacher; its logits of all samples of the pool are cached.

        Args:
            teacher: deterministic function of samples (N, *sample_shape) that returns logits (N, K).
            identity: objects whose hash identifies the teacher, to share the logits of a shared pool; None does not
                share them.
        """
        self._teacher = teacher
        self._teacher_key = "" if self.folder is None or identity is None else hash_object(identity)
        if self._pool is not None:
            self._pool = self._pool._replace(logits=self._label(self._pool.samples))

    @torch.no_grad()
    def start_epoch(self, epoch: int, seed: int) -> None:
        """Replace the oldest blocks of the pool; see :meth:`Synthesizer.start_epoch`."""
        if self._device is None:
            raise not_fitted_error(self)
        if self.folder is not None:
            seed = SHARED_SEED
        sources = [(seed, self._drawn_at(block, epoch)) for block in range(-(-self.size // self._block_size))]
        if self._pool is None:
            drawn = self._fill(sources)
            self._pool = _Pool(**drawn, logits=self._label(drawn["samples"]))
        else:
            for block, source in enumerate(sources):
                if source != self._sources[block]:
                    drawn = _concatenate(self._draw(block, *source))
                    self._replace(block, _Pool(**drawn, logits=self._label(drawn["samples"])))
        self._sources = sources

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` samples of the pool; see :meth:`Synthesizer.sample`."""
        samples, labels, _ = self.sample_with_logits(n, generator)
        return samples, labels

    def sample_with_logits(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return ``n`` samples of the pool, their labels, and the teacher's logits (n, K) if a teacher is set.

        Raises:
            ConfigurationError: a file of a shared pool was truncated or overwritten after it was mapped into memory.
        """
        if self._pool is None:
            raise not_fitted_error(self)
        self._mapped.check()
        device = self._pool.labels.device
        chosen = torch.randint(self.size // self._world_size, (n,), device=device, generator=generator)
        chosen = chosen * self._world_size + self._rank
        samples, labels, logits = self._pool
        return to_float_images(samples[chosen]), labels[chosen], None if logits is None else logits[chosen]

    def _drawn_at(self, block: int, epoch: int) -> int:
        """Return the last epoch, up to ``epoch``, in which a block was drawn; epochs k > 0 draw one block, in turn."""
        blocks = -(-self.size // self._block_size)
        if self.refresh == 0 or epoch < block + 1:
            return 0
        return epoch - (epoch - 1 - block) % blocks

    def _fill(self, sources: list[tuple[int, int]]) -> dict[str, Tensor]:
        """Draw samples and labels of all blocks, or load those of a shared pool."""

        def draw() -> Iterator[dict[str, Tensor]]:
            for block, source in enumerate(sources):
                yield from self._draw(block, *source)

        return _concatenate(draw()) if self.folder is None else self._load(self._key, draw)

    def _load(self, key: str, compute: Callable[[], Iterable[Mapping[str, Tensor]]]) -> dict[str, Tensor]:
        """Load tensors of a shared pool; they depend on the type of the device and on the precision."""
        assert self.folder is not None
        assert self._device is not None
        device = self._device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        name = hash_object([FORMAT_VERSION, key, device, precision])[:32]
        tensors = load_or_compute(self.folder / name, self.size, compute, self._device)
        if device == "cpu":
            self._mapped.add(self.folder / name / f"{tensor}.npy" for tensor in tensors)
        return tensors

    def _draw(self, block: int, seed: int, epoch: int) -> Iterator[dict[str, Tensor]]:
        """Draw a block in chunks, in an epoch of the wrapped synthesizer that depends on the block's source only."""
        if self._started != (seed, epoch):
            self._fitted.start_epoch(epoch, seed)
            self._started = (seed, epoch)
        n = min(self._block_size, self.size - block * self._block_size)
        # Blocks, at most 2,000, and epochs differ in the low 32 bits, the only bits that PyTorch's CPU generator uses.
        generator = torch.Generator(self._device).manual_seed((seed + 7919 * epoch + block) % 2**32)
        for first in range(0, n, _CHUNK):
            samples, labels = self._fitted.sample(min(_CHUNK, n - first), generator)
            check_generated(samples, f"data.synthesizer ({type(self.synthesizer).__name__})")
            stored = to_uint8_images(samples) if samples.dim() == 4 else samples.float()  # no bfloat16 in .npy
            yield {"samples": stored, "labels": labels}

    def _replace(self, block: int, drawn: _Pool) -> None:
        assert self._pool is not None
        start = block * self._block_size
        for stored, fresh in zip(self._pool, drawn, strict=True):
            if stored is not None and fresh is not None:
                stored[start : start + len(fresh)] = fresh

    @torch.no_grad()
    def _label(self, samples: Tensor) -> Tensor | None:
        """Compute the teacher's logits of stored samples, or load those of a shared pool."""
        teacher = self._teacher
        if teacher is None:
            return None

        def compute() -> Iterator[dict[str, Tensor]]:
            for part in samples.split(self._block_size):  # a resumed run has equal logits only for equal chunks
                yield from ({"logits": chunk} for chunk in _compute_chunks(teacher, part))

        shared = bool(self._teacher_key)
        labeled = self._load(f"{self._key} {self._teacher_key}", compute) if shared else _concatenate(compute())
        return labeled["logits"]


def compute_logits(teacher: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Compute a teacher's logits of stored samples in large batches, float32 (N, K).

    Args:
        teacher: function of samples (N, *sample_shape) that returns logits (N, K).
        samples: uint8 images (N, C, H, W) or float rows (N, D).
    """
    return torch.cat(list(_compute_chunks(teacher, samples)))


def _compute_chunks(teacher: Callable[[Tensor], Tensor], samples: Tensor) -> Iterator[Tensor]:
    for chunk in samples.split(_CHUNK):
        inputs = to_float_images(chunk)
        if inputs.dim() == 4:
            inputs = inputs.to(memory_format=torch.channels_last)
        yield teacher(inputs).float()


def _concatenate(chunks: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    parts = list(chunks)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
