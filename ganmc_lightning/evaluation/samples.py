"""Sets of samples to evaluate: stored in memory, or drawn from a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganmc_lightning.batch import SupportsDataSpec, check_generated, to_uint8_images
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.synthesizers.generator import GeneratorSynthesizer

CHUNK = 4096
REAL = "real:"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SampleSet(ABC):
    """Base class of sets of samples with the shape of the real data.

    Args:
        name: name in tables.
        origin: checkpoint, file, folder or ``real:SPLIT``.
    """

    name: str
    origin: str

    @property
    def real_split(self) -> str:
        """Split, if the samples are a split of the real data; else empty."""
        return self.origin.removeprefix(REAL) if self.origin.startswith(REAL) else ""

    @abstractmethod
    def sample(self, n: int, seed: int) -> Tensor:
        """Return ``n`` samples, or all if fewer, on the CPU: uint8 images (N, C, H, W) or float rows (N, D)."""


@dataclass(frozen=True)
class StoredSamples(SampleSet):
    """Samples in memory, uint8 images (N, C, H, W) or float rows (N, D); larger sets are subsampled at random."""

    samples: Tensor = field(repr=False)

    def sample(self, n: int, seed: int) -> Tensor:
        """Choose ``n`` samples without replacement."""
        if len(self.samples) <= n:
            return self.samples
        return self.samples[torch.randperm(len(self.samples), generator=torch.Generator().manual_seed(seed))[:n]]


@dataclass(frozen=True)
class GeneratedSamples(SampleSet):
    """Samples of a generator, drawn by a fitted synthesizer; see :func:`samples_of_generator`."""

    synthesizer: GeneratorSynthesizer = field(repr=False)

    def sample(self, n: int, seed: int) -> Tensor:
        """Generate ``n`` samples.

        Raises:
            ConfigurationError: samples are NaN or infinite, or images exceed [-1, 1].
        """
        device = self.synthesizer.device
        random = torch.Generator(device).manual_seed(seed)
        sizes = [min(CHUNK, n - start) for start in range(0, n, CHUNK)]
        return torch.cat([self._draw(size, random).cpu() for size in sizes])

    def _draw(self, n: int, random: torch.Generator) -> Tensor:
        samples = self.synthesizer.sample(n, random)[0]
        check_generated(samples, self.name)
        return to_uint8_images(samples) if samples.dim() == 4 else samples.float()  # a quarter of the memory of float32


def samples_of_generator(
    generator: Generator,
    data: SupportsDataSpec,
    *,
    name: str = "generator",
    origin: str = "generator",
    labels: Tensor | None = None,
    device: torch.device | str | None = None,
) -> GeneratedSamples:
    """Return the sample set of a generator, with the class distribution of real samples.

    Args:
        generator: generator; it is set to evaluation mode and moved to ``device``.
        data: data module of the real data, after setup.
        name: name in tables.
        origin: checkpoint or submodule, for error messages.
        labels: int64 labels from which the classes are drawn (default: those of the training split).
        device: device of the generator (default: the device of the labels).

    Raises:
        ConfigurationError: sample shape, classes or training data of the generator do not match the data.
    """
    synthesizer = GeneratorSynthesizer(generator)
    synthesizer.name = origin
    synthesizer.fit(None, (data.samples("train")[1] if labels is None else labels).to(device), data.spec)
    return GeneratedSamples(name, origin, synthesizer)
