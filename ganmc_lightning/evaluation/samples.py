"""Sets of samples to evaluate: from a generator, from files, or real."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import SupportsDataSpec, encode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.io.samples import read_samples
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_generator
from ganmc_lightning.synthesizers.generator import GeneratorSynthesizer

CHUNK = 4096
REAL = "real:"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SampleSet(ABC):
    """Samples of one origin that fit the real data.

    Args:
        name: name in tables.
        origin: checkpoint, file, folder or ``real:SPLIT``.
    """

    name: str
    origin: str

    @property
    def real_split(self) -> str:
        """Split of the real data that the samples are; empty for other samples."""
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
        """Generate ``n`` samples."""
        device = self.synthesizer.device
        random = torch.Generator(device).manual_seed(seed)
        sizes = [min(CHUNK, n - start) for start in range(0, n, CHUNK)]
        chunks = (self.synthesizer.sample(size, random)[0] for size in sizes)
        # uint8 takes a quarter of the memory of floats
        return torch.cat([(encode(chunk) if chunk.dim() == 4 else chunk.float()).cpu() for chunk in chunks])


class SampleSource(NamedTuple):
    """Name and origin of a sample set, from ``NAME=ORIGIN``."""

    name: str
    origin: str


def parse_named(text: str) -> SampleSource:
    """Split ``NAME=ORIGIN``; without a name, use the name of the run, file or folder.

    Example:
        >>> parse_named("good=runs/acgan/best.ckpt"), parse_named("runs/acgan/seed0/checkpoints/best.ckpt").name
        (SampleSource(name='good', origin='runs/acgan/best.ckpt'), 'acgan_seed0')
    """
    name, equals, origin = text.partition("=")
    if equals and name and origin and not Path(text).exists():
        return SampleSource(name, origin)
    path = Path(text)
    if path.parent.name != "checkpoints":
        return SampleSource(text if text.startswith(REAL) else path.stem, text)
    run = path.parent.parent
    return SampleSource(f"{run.parent.name}_{run.name}" if run.name.startswith("seed") else run.name, text)


class SampleSets(NamedTuple):
    """Sample sets to evaluate, and the reference of their sharpness, if any."""

    sets: list[SampleSet]
    sharpness_reference: SampleSet | None


def open_sample_sets(
    texts: Sequence[str],
    data: SupportsDataSpec,
    *,
    sharpness_reference: str | None = None,
    device: torch.device | str | None = None,
) -> SampleSets:
    """Open sample sets with distinct names.

    Args:
        texts: for each set ``real:train``, ``real:val`` or ``real:test``; an ``.npz`` file with ``images`` or ``X``; a
            folder of images; or the checkpoint of a generator, ``CHECKPOINT:SUBMODULE`` if its submodule is not called
            ``generator`` or ``student``. An optional ``NAME=`` comes first.
        data: data module of the real data, after setup.
        sharpness_reference: a further set, which may have any name.
        device: device of the generators (default: the device of the data).

    Raises:
        ConfigurationError: samples are not found or do not fit the data, or two sets have the same name.
    """
    names = [parse_named(text).name for text in texts]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{name}: got {names.count(name)} sample sets of this name: use NAME=SAMPLES")
    sets = [_open(parse_named(text), data, device) for text in (*texts, sharpness_reference) if text is not None]
    return SampleSets(sets[: len(texts)], sets[-1] if sharpness_reference is not None else None)


def _open(source: SampleSource, data: SupportsDataSpec, device: torch.device | str | None) -> SampleSet:
    name, origin = source
    path = Path(origin)
    if origin.startswith(REAL):
        split = origin.removeprefix(REAL)
        if split not in SPLITS:
            raise ConfigurationError(f"{origin}: expected one of {', '.join(REAL + each for each in SPLITS)}")
        return StoredSamples(name, origin, data.samples(split)[0])
    if not path.is_dir() and path.suffix != ".npz":
        generator = load_generator(*split_checkpoint_path(origin))
        return samples_of_generator(generator, data, name=name, origin=origin, device=device)
    return StoredSamples(name, origin, read_samples(path, data.spec.sample_shape, data.samples("train")[0]))


def samples_of_generator(
    generator: Generator,
    data: SupportsDataSpec,
    *,
    name: str = "generator",
    origin: str = "generator",
    labels: Tensor | None = None,
    device: torch.device | str | None = None,
) -> GeneratedSamples:
    """Return the samples of a generator, with the class distribution of real samples.

    Args:
        generator: generator; it is set to evaluation mode and moved to ``device``.
        data: data module of the real data, after setup.
        name: name in tables.
        origin: checkpoint or submodule, for error messages.
        labels: int64 labels from which the classes are drawn (default: those of the training split).
        device: device of the generator (default: the device of the labels).

    Raises:
        ConfigurationError: the generator does not fit the data: sample shape, classes, or data it was trained on.
    """
    synthesizer = GeneratorSynthesizer(generator)
    synthesizer.name = origin
    synthesizer.fit(None, (data.samples("train")[1] if labels is None else labels).to(device), data.spec)
    return GeneratedSamples(name, origin, synthesizer)
