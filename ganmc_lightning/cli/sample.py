"""``ganmc sample``: write samples of a generator's checkpoint to an .npz file, a CSV table, a folder or one image."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganmc_lightning.batch import check_generated, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import temporary_path
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.io.image_grid import MAX_CHANNELS, save_image_grid
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_generator
from ganmc_lightning.networks.training_data import get_training_data

CHUNK = 1024


def run(arguments: argparse.Namespace) -> int:
    """Generate samples and write them.

    Raises:
        ConfigurationError: the checkpoint has no generator, its samples are not finite, or the output cannot be
            written.
    """
    out: Path = arguments.out
    path, submodule = split_checkpoint_path(arguments.checkpoint)
    generator = load_generator(path, submodule)
    _check_suffix(generator, arguments.checkpoint, out)
    images, units = len(generator.sample_shape) == 3, ""
    if not images:
        from ganmc_lightning.cli.sample_rows import read_checkpoint_table, write_rows  # imports scikit-learn

        table = read_checkpoint_table(path, generator, out)
    samples, labels = generate(generator, arguments.num_samples, arguments.seed, arguments.checkpoint)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if images:
            write_images(samples, labels, out)
        else:
            spec = get_training_data(generator)
            units = f" ({write_rows(samples, labels, table, out, spec and spec.statistics)})"
    except OSError as error:
        raise ConfigurationError(f"--out: cannot write {out} ({error.strerror})") from error
    print(f"{arguments.num_samples} samples of shape {tuple(samples.shape[1:])} in {out}{units}")
    return 0


def _check_suffix(generator: Generator, checkpoint: str, out: Path) -> None:
    rows, suffix = len(generator.sample_shape) != 3, out.suffix.lower()
    if rows and suffix not in (".npz", ".csv"):
        raise ConfigurationError(
            f"--out: got {out}, expected {out.stem}.csv or {out.stem}.npz: {checkpoint} generates rows"
        )
    if not rows and generator.sample_shape[0] > MAX_CHANNELS and suffix != ".npz":
        raise ConfigurationError(
            f"--out: got {out}, expected {out.stem}.npz: {checkpoint} generates images of {generator.sample_shape[0]} "
            f"channels, and PNG files have at most {MAX_CHANNELS}"
        )
    if not rows and suffix == ".csv":
        raise ConfigurationError(
            f"--out: got {out}, expected {out.stem}.npz, {out.stem}.png or a folder: {checkpoint} generates images"
        )


@torch.no_grad()
def generate(generator: Generator, n: int, seed: int, name: str) -> tuple[Tensor, Tensor | None]:
    """Generate ``n`` samples with (nearly) equal numbers per class, in the order of the classes.

    Args:
        generator: generator in evaluation mode, on the CPU.
        n: number of samples.
        seed: random seed for the latents.
        name: checkpoint, for error messages.

    Returns:
        uint8 images or float rows (n, ...), and their int64 labels (n,) or None for an unconditional generator.

    Raises:
        ConfigurationError: samples are NaN or infinite, or images exceed [-1, 1].
    """
    latents = generator.sample_latents(n, "cpu", torch.Generator().manual_seed(seed))
    labels = torch.arange(n) * generator.num_classes // n if generator.num_classes else None
    chunks = []
    for start in range(0, n, CHUNK):
        chunk = slice(start, start + CHUNK)
        samples = generator(latents[chunk], None if labels is None else labels[chunk])
        check_generated(samples, name)
        chunks.append(to_uint8_images(samples) if len(generator.sample_shape) == 3 else samples)
    return torch.cat(chunks), labels


def write_images(samples: Tensor, labels: Tensor | None, out: Path) -> None:
    """Write images in the format of the suffix of ``out``."""
    if out.suffix.lower() == ".npz":
        arrays = {"images": samples.permute(0, 2, 3, 1).numpy()}
        write_npz(out, arrays if labels is None else {**arrays, "labels": labels.numpy()})
    elif out.suffix.lower() == ".png":
        save_image_grid(samples, min(len(samples), max(1, round(len(samples) ** 0.5))), out)
    else:
        temporary = temporary_path(out)  # renamed at the end, so that no incomplete folder remains
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed process with the same number, as in containers
        try:
            for index, image in enumerate(samples):
                folder = temporary / ("samples" if labels is None else f"{int(labels[index]):03d}")
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(folder / f"{index:06d}.png")
            temporary.rename(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
