"""The samples to judge: drawn from a generator, read from files, or real ones as the row to compare with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, encode
from ganmc_lightning.evaluation.real_data import PARTS, RealData
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import list_arrays, read_array, to_image_tensor
from ganmc_lightning.io.folders import find_images
from ganmc_lightning.io.images import decode_image
from ganmc_lightning.io.pixel_range import check_bytes
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_generator
from ganmc_lightning.networks.training_data import output_conversion
from ganmc_lightning.synthesizers.generator import GeneratorSynthesizer
from ganmc_lightning.synthesizers.stored_rows import SCALED, check_scaled, read_scaled_rows

CHUNK = 4096
REAL = "real:"


class SampleSet(ABC):
    """Samples of one origin, checked against the data before anything is computed.

    Attributes:
        name: what the table calls them.
        origin: where they come from.
        real_part: which part of the real data they are; empty for all others.
    """

    def __init__(self, name: str, origin: str, real_part: str = "") -> None:
        self.name = name
        self.origin = origin
        self.real_part = real_part

    @abstractmethod
    def draw(self, n: int, seed: int) -> Tensor:
        """``n`` samples, or all where there are fewer: uint8 images (N, C, H, W) or float rows (N, D)."""


class GeneratedSamples(SampleSet):
    """Samples of a generator, for classes drawn from the real training labels.

    Args:
        name: what the table calls them.
        origin: its checkpoint.
        generator: in evaluation mode.
        data: the real data.
        device: where to draw.

    Raises:
        ConfigurationError: the generator makes samples of another shape, or was trained on other classes or on data
            of another kind.
    """

    def __init__(
        self, name: str, origin: str, generator: Generator, data: RealData, device: torch.device | str
    ) -> None:
        super().__init__(name, origin)
        _check_shape(origin, generator.sample_shape, data)
        if generator.num_classes not in (0, data.spec.num_classes):
            raise ConfigurationError(
                f"{origin} knows {generator.num_classes} classes, {data.name} has {data.spec.num_classes}: "
                "name the data it was trained on by --data"
            )
        output_conversion(origin, generator, data.spec)
        self._generator = generator
        self._data = data
        self._device = device

    def draw(self, n: int, seed: int) -> Tensor:
        """Draw ``n`` samples, the same for the same seed."""
        labels = self._data.samples("train")[1].to(self._device)
        return draw_samples(self._generator, labels, self._data.spec, n, seed).cpu()


class StoredSamples(SampleSet):
    """Samples at hand, of which a random choice is taken where there are more than wanted.

    Args:
        name: what the table calls them.
        origin: their file or folder, or ``real:PART``.
        samples: uint8 images (N, C, H, W) or float rows (N, D).
        data: the real data.
        real_part: which part of them the samples are, if any.

    Raises:
        ConfigurationError: the samples have another shape than the data's.
    """

    def __init__(self, name: str, origin: str, samples: Tensor, data: RealData, real_part: str = "") -> None:
        super().__init__(name, origin, real_part)
        _check_shape(origin, samples.shape[1:], data)
        if not data.is_images and not real_part:
            check_scaled(samples, data.samples("train")[0], origin)
        self._samples = samples

    def draw(self, n: int, seed: int) -> Tensor:
        """Choose ``n`` different samples, the same for the same seed."""
        if len(self._samples) <= n:
            return self._samples
        return self._samples[torch.randperm(len(self._samples), generator=torch.Generator().manual_seed(seed))[:n]]


def draw_samples(generator: Generator, labels: Tensor, spec: DataSpec, n: int, seed: int) -> Tensor:
    """Draw from a generator as a training would, whose classes follow ``labels``.

    Args:
        generator: in evaluation mode.
        labels: int64 of the real training samples, on the device to draw on.
        spec: what the data look like.
        n: how many samples.
        seed: seeds noise and classes.

    Returns:
        uint8 images (n, C, H, W), a quarter of the memory of floats, or float32 rows (n, D).
    """
    synthesizer = GeneratorSynthesizer(generator)
    synthesizer.fit(None, labels, spec)
    random = torch.Generator(labels.device).manual_seed(seed)
    sizes = [min(CHUNK, n - start) for start in range(0, n, CHUNK)]
    parts = (synthesizer.sample(size, random)[0] for size in sizes)
    return torch.cat([encode(part) if len(spec.sample_shape) == 3 else part.float() for part in parts])


class Named(NamedTuple):
    """``NAME=ORIGIN`` of the command line, taken apart."""

    name: str
    origin: str


def name_of(text: str) -> Named:
    """Find the name of samples: the one given before ``=``, or one made of their path.

    Example:
        >>> name_of("good=runs/acgan/best.ckpt"), name_of("runs/acgan/seed0/checkpoints/best.ckpt").name
        (Named(name='good', origin='runs/acgan/best.ckpt'), 'acgan_seed0')
    """
    given, equals, origin = text.partition("=")
    if equals and given and origin and not Path(text).exists():
        return Named(given, origin)
    path = Path(text)
    if text.startswith(REAL) or path.parent.name != "checkpoints":
        return Named(text if text.startswith(REAL) else path.stem, text)
    run = path.parent.parent
    return Named(f"{run.parent.name}_{run.name}" if run.name.startswith("seed") else run.name, text)


def open_samples(text: str, data: RealData, device: torch.device | str = "cpu") -> SampleSet:
    """Find the samples that a text names and hold them against the data.

    Args:
        text: ``real:train``, ``real:val`` or ``real:test``; an ``.npz`` file with ``images`` or ``X``; a folder of
            images; a generator's checkpoint, ``CHECKPOINT:PART`` where its module calls it neither ``generator``
            nor, having compressed it, ``student``.
            ``NAME=`` before it gives it a name.
        data: the real data.
        device: where to draw from a generator.

    Raises:
        ConfigurationError: there are none, or they do not fit the data.
    """
    name, origin = name_of(text)
    path = Path(origin)
    if origin.startswith(REAL):
        part = origin.removeprefix(REAL)
        if part not in PARTS:
            raise ConfigurationError(f"'{origin}': real samples are {', '.join(REAL + part for part in PARTS)}")
        return StoredSamples(name, origin, data.samples(part)[0], data, part)
    if path.is_dir():
        return StoredSamples(name, origin, _read_folder(path, data), data)
    if path.suffix == ".npz":
        return StoredSamples(name, origin, _read_npz(path), data)
    if path.is_file() or ":" not in origin:
        generator = load_generator(origin)
    else:
        checkpoint, _, part = origin.rpartition(":")
        generator = load_generator(checkpoint, part)
    return GeneratedSamples(name, origin, generator, data, device)


def _check_shape(origin: str, shape: torch.Size | tuple[int, ...], data: RealData) -> None:
    if tuple(shape) != tuple(data.spec.sample_shape):
        raise ConfigurationError(
            f"{origin}: its samples have shape {tuple(shape)}, those of {data.name} {tuple(data.spec.sample_shape)}: "
            "name the data they stand for by --data"
        )


def _read_npz(path: Path) -> Tensor:
    held = list_arrays(path)
    if "images" in held:
        return to_image_tensor(read_array(path, "images"), f"{path}: images")
    if "X" in held or SCALED in held:
        return read_scaled_rows(path, held)
    raise ConfigurationError(
        f"{path}: holds {', '.join(held) or 'nothing'}: samples are images uint8 (N, H, W, C), or scaled rows X (N, D)"
    )


def _read_folder(folder: Path, data: RealData) -> Tensor:
    """All images below a folder, in the order of their names; none is resized, for that would change the scores."""
    if not data.is_images or data.spec.sample_shape[0] not in (1, 3):
        raise ConfigurationError(
            f"{folder}: a folder of images cannot be read as samples of shape {data.spec.sample_shape}: "
            "give an .npz file"
        )
    images = [_read_image(path, data.spec.sample_shape) for path in find_images(folder)]
    return check_bytes(torch.stack(images), str(folder))


def _read_image(path: Path, shape: tuple[int, ...]) -> Tensor:
    channels, height, width = shape
    image = decode_image(path, channels)
    if tuple(image.shape) != tuple(shape):
        raise ConfigurationError(
            f"{path}: has {image.shape[2]}x{image.shape[1]} pixels, the data {width}x{height}: resize the images "
            "yourself, for the way it is done changes every score"
        )
    return image
