"""Open the sample sets of a command line: real samples, files, folders, and checkpoints of generators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.evaluation.samples import REAL, SPLITS, SampleSet, StoredSamples, samples_of_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.io.samples import read_folder_samples
from ganmc_lightning.networks.loading import load_generator
from ganmc_lightning.synthesizers.rescaled import read_rescaled_samples


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
        sharpness_reference: a further set, with an arbitrary name.
        device: device of the generators (default: the device of the data).

    Raises:
        ConfigurationError: samples are not found or do not fit the data, or two sets have the same name.
    """
    sources = [parse_named(text) for text in (*texts, sharpness_reference) if text is not None]
    names = [source.name for source in sources[: len(texts)]]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"{name}: got {names.count(name)} sample sets with this name, expected one: use NAME=SAMPLES"
            )
    sets = [_open(source, data, device) for source in sources]
    return SampleSets(sets[: len(texts)], sets[-1] if sharpness_reference is not None else None)


def _open(source: SampleSource, data: SupportsDataSpec, device: torch.device | str | None) -> SampleSet:
    name, origin = source
    path = Path(origin)
    if origin.startswith(REAL):
        split = origin.removeprefix(REAL)
        if split not in SPLITS:
            raise ConfigurationError(f"{origin}: expected one of {', '.join(REAL + each for each in SPLITS)}")
        return StoredSamples(name, origin, data.samples(split)[0])
    if path.is_dir():
        return StoredSamples(name, origin, read_folder_samples(path, data.spec.sample_shape))
    if path.suffix == ".npz":
        return StoredSamples(name, origin, read_rescaled_samples(path, data.spec, data.samples("train")[0]))
    generator = load_generator(*split_checkpoint_path(origin))
    return samples_of_generator(generator, data, name=name, origin=origin, device=device)
