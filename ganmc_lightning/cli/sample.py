"""``ganmc sample``: draw from a generator's checkpoint into an npz file, a CSV table, a folder or one picture."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganmc_lightning.batch import encode
from ganmc_lightning.callbacks.sample_grid import save_grid, tile
from ganmc_lightning.cli.sample_rows import CheckpointTable, write_rows
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_generator, read_checkpoint

CHUNK = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("checkpoint", help="checkpoint of a GAN")
    parser.add_argument("--n", type=int, default=100, help="number of samples (100)")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="FILE.npz for arrays, FILE.csv for rows of a table, FILE.png for one picture, else a folder of images",
    )
    parser.add_argument("--part", help="name of the generator in its module (generator, or else student)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (0)")


def run(arguments: argparse.Namespace) -> int:
    """Draw and write.

    Raises:
        ConfigurationError: the checkpoint holds no generator, the output is there already, or it cannot be written.
    """
    out: Path = arguments.out
    if arguments.n < 1:
        raise ConfigurationError(f"--n must be at least 1, got {arguments.n}")
    if out.exists():
        raise ConfigurationError(f"{out} is there already: name another by --out")
    generator = load_generator(arguments.checkpoint, arguments.part)
    _check_suffix(generator, arguments.checkpoint, out)
    samples, labels = draw(generator, arguments.n, arguments.seed)
    units = ""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if samples.dim() == 2:
            table = CheckpointTable.from_checkpoint(read_checkpoint(arguments.checkpoint))
            units = f" ({write_rows(samples, labels, table, out)})"
        else:
            write(samples, labels, out)
    except OSError as error:
        raise ConfigurationError(f"cannot write {out} ({error.strerror}): name another by --out") from error
    print(f"{arguments.n} samples of shape {tuple(samples.shape[1:])} in {out}{units}")
    return 0


def _check_suffix(generator: Generator, checkpoint: str, out: Path) -> None:
    rows, suffix = len(generator.sample_shape) != 3, out.suffix.lower()
    if rows and suffix not in (".npz", ".csv"):
        raise ConfigurationError(
            f"{checkpoint} makes rows: write them to a table, --out {out.stem}.csv, or to {out.stem}.npz"
        )
    if not rows and suffix == ".csv":
        raise ConfigurationError(
            f"{checkpoint} makes images: write them to --out {out.stem}.npz, {out.stem}.png or a folder"
        )


@torch.no_grad()
def draw(generator: Generator, n: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Draw ``n`` samples, with as many of each class as possible, in the order of the classes.

    Returns:
        uint8 images or float rows (n, ...), and their classes; None for an unconditional generator.
    """
    latents = generator.sample_latents(n, "cpu", torch.Generator().manual_seed(seed))
    labels = torch.arange(n) * generator.num_classes // n if generator.num_classes else None
    chunks = []
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        samples = generator(latents[part], None if labels is None else labels[part])
        chunks.append(encode(samples) if len(generator.sample_shape) == 3 else samples)
    return torch.cat(chunks), labels


def write(samples: Tensor, labels: Tensor | None, out: Path) -> None:
    """Write images in the form the name of ``out`` asks for."""
    if out.suffix.lower() == ".npz":
        arrays = {"images": samples.permute(0, 2, 3, 1).numpy()}
        write_npz(out, arrays if labels is None else {**arrays, "labels": labels.numpy()})
    elif out.suffix.lower() == ".png":
        columns = min(len(samples), max(1, round(len(samples) ** 0.5)))
        save_grid(tile(samples, columns), out)
    else:
        part = out.with_name(f".{out.name}.part")  # a folder is there whole or not at all
        shutil.rmtree(part, ignore_errors=True)
        for k, image in enumerate(samples):
            folder = part / ("samples" if labels is None else f"{int(labels[k]):03d}")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(folder / f"{k:06d}.png")
        part.rename(out)
