"""Pools of synthetic images for a student, and the time that they take."""

from __future__ import annotations

import copy
import time
from typing import NamedTuple

import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression.inputs import LoadedSource
from ganmc_lightning.data.datasets import TensorDataset
from ganmc_lightning.networks import Frozen, Generator
from ganmc_lightning.networks.profiling import synchronize
from ganmc_lightning.synthesizers import (
    FilteredSynthesizer,
    GeneratorSynthesizer,
    PooledSynthesizer,
    StoredSynthesizer,
    Synthesizer,
)

MIN_POOL = 1000
"""Smallest number of samples in a pool."""
MEASURED_SAMPLES = 256
"""Number of samples that are drawn to estimate the duration."""
FILTER_DRAWS = 3.0
"""Draws per sample of a filtered pool where the acceptance rate is unknown: the sample, its replacements, and the
logits."""


class SynthesisDuration(NamedTuple):
    """Estimated seconds for the samples of a pool.

    Attributes:
        start: seconds before the first epoch, in addition to those of each epoch.
        epoch: seconds of each epoch.
    """

    start: float = 0.0
    epoch: float = 0.0


def filtered_pool(samples: Synthesizer, teacher: nn.Module, size: int) -> PooledSynthesizer:
    """Return a pool of labeled samples that a teacher predicts with high confidence.

    Args:
        samples: synthesizer of labeled images.
        teacher: trained classifier.
        size: number of training samples.
    """
    return PooledSynthesizer(FilteredSynthesizer(samples, copy.deepcopy(teacher)), size=max(MIN_POOL, size))


def generator_pool(generator: Generator, teacher: nn.Module, size: int) -> PooledSynthesizer:
    """Return a pool of generated samples; those of a conditional generator are filtered by the teacher's confidence.

    Args:
        generator: trained generator of images.
        teacher: trained classifier.
        size: number of training samples.
    """
    if generator.num_classes > 0:
        return filtered_pool(GeneratorSynthesizer(generator), teacher, size)
    return unfiltered_pool(generator, size)


def unfiltered_pool(generator: Generator, size: int) -> PooledSynthesizer:
    """Return a pool of all generated samples.

    Args:
        generator: generator of images.
        size: number of training samples.
    """
    return PooledSynthesizer(GeneratorSynthesizer(generator), size=max(MIN_POOL, size))


def find_stored(synthesizer: Synthesizer) -> StoredSynthesizer | None:
    """Return the stored samples of a synthesizer, also of one that pools or filters them; None without stored ones."""
    while isinstance(synthesizer, PooledSynthesizer | FilteredSynthesizer):
        synthesizer = synthesizer.synthesizer
    return synthesizer if isinstance(synthesizer, StoredSynthesizer) else None


def measure_synthesis(
    synthesizer: Synthesizer, teacher: nn.Module, source: LoadedSource, spec: DataSpec, draws: float = 1.0
) -> SynthesisDuration:
    """Fit a synthesizer, and measure the seconds in which its pool is filled, by some samples with logits, in float32.

    Args:
        synthesizer: the synthesizer; without a pool, the duration is 0, because steps contain it.
        teacher: teacher, whose logits the pool stores.
        source: the data.
        spec: specification of the data.
        draws: factor for a pool that draws more samples than the measured one (default: 1).

    Raises:
        ConfigurationError: the synthesizer does not support the data.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train = source.splits.train
    inputs = train.inputs.to(device) if isinstance(train, TensorDataset) else None
    with torch.no_grad():
        if not isinstance(synthesizer, PooledSynthesizer):
            synthesizer.fit(inputs, train.labels.to(device), spec)
            return SynthesisDuration()
        measured = PooledSynthesizer(synthesizer.synthesizer, size=MEASURED_SAMPLES, refresh=1.0)
        measured.fit(inputs, train.labels.to(device), spec)
        measured.set_teacher(Frozen(copy.deepcopy(teacher)).to(device))
        measured.start_epoch(0, seed=0)  # the first draw is slower
        started = time.monotonic()
        measured.start_epoch(1, seed=0)
        synchronize(device)
    seconds = draws * (time.monotonic() - started) / MEASURED_SAMPLES
    refreshed = seconds * synthesizer.size * synthesizer.refresh
    return SynthesisDuration(seconds * synthesizer.size - refreshed, refreshed)
