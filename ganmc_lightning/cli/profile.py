"""``ganmc profile``: what generators cost, and what they make of the same noise, side by side."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ganmc_lightning.batch import encode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_generator
from ganmc_lightning.networks.profiling import count_flops, count_parameters, state_dict_size, throughput
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import read_run_result

Costs = dict[str, float]
LATENT_SPEC = ("latent_size", "latent_std", "num_classes", "sample_shape")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "generators",
        nargs="+",
        metavar="NAME=CHECKPOINT",
        help="generators that take the same noise; the first is what the others' size is compared with",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for result.json and samples/comparison.png")
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="json of `ganmc evaluate` for the same names, to be added to the result",
    )
    parser.add_argument("--columns", type=int, default=10, help="samples of each generator in the picture (10)")
    parser.add_argument("--batch-size", type=int, default=64, help="samples of each timed pass (64)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each generator is timed (1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (0)")


def run(arguments: argparse.Namespace) -> int:
    """Measure, draw and write.

    Raises:
        ConfigurationError: a checkpoint holds no generator, they take or make different things, or nothing can be
            written.
    """
    if min(arguments.columns, arguments.batch_size) < 1 or arguments.seconds <= 0:
        raise ConfigurationError("--columns, --batch-size and --seconds must be positive")
    started = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generators = {name: generator.to(device) for name, generator in read_generators(arguments.generators).items()}
    check_compatible(generators)
    scores = {} if arguments.scores is None else read_scores(arguments.scores)
    costs = measure(generators, arguments.batch_size, arguments.seconds, device)
    out: Path = arguments.out
    try:
        out.mkdir(parents=True, exist_ok=True)
        if len(next(iter(generators.values())).sample_shape) == 3:
            write_picture(generators, arguments.columns, arguments.seed, device, out / "samples" / "comparison.png")
        scores |= {f"test/{name}/{metric}": value for name, row in costs.items() for metric, value in row.items()}
        RunFolder(out).update_result(
            command=arguments.command,
            metrics=scores,
            train_seconds=round(time.monotonic() - started, 2),
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            settings={"batch_size": arguments.batch_size, "threads": torch.get_num_threads()},
        )
    except OSError as error:
        raise ConfigurationError(f"cannot write to {out} ({error.strerror}): name another folder by --out") from error
    print_table(costs)
    return 0


def read_generators(texts: list[str]) -> dict[str, Generator]:
    """Read ``NAME=CHECKPOINT`` into generators by name, in evaluation mode on the CPU.

    Raises:
        ConfigurationError: a text is not of that form, a name is given twice, or a checkpoint holds no generator.
    """
    generators: dict[str, Generator] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ConfigurationError(
                f"'{text}' must be NAME=CHECKPOINT, for instance teacher=runs/gan/checkpoints/best.ckpt"
            )
        if name in generators:
            raise ConfigurationError(f"two generators are called '{name}': give each a name of its own")
        generators[name] = load_generator(path)
    return generators


def read_scores(path: Path) -> Costs:
    """Read the numbers that ``ganmc evaluate --json`` wrote, ``test/<name>/<metric>``.

    Raises:
        ConfigurationError: the file is missing or holds none.
    """
    result = read_run_result(path)
    if result is None or not result.metrics:
        raise ConfigurationError(f"{path} holds no scores: write it by ganmc evaluate --json {path}")
    return dict(result.metrics)


def check_compatible(generators: Mapping[str, Generator]) -> None:
    """Raise :class:`~ganmc_lightning.exceptions.ConfigurationError` unless latents and samples have equal shapes."""
    (first, reference), *others = generators.items()
    for name, generator in others:
        for trait in LATENT_SPEC:
            due, got = getattr(reference, trait), getattr(generator, trait)
            if due != got:
                raise ConfigurationError(f"{name} has {trait} {got}, {first} {due}: compare generators of one kind")


def measure(
    generators: Mapping[str, Generator], batch_size: int, seconds: float, device: torch.device
) -> dict[str, Costs]:
    """Size and speed of each generator.

    Returns:
        For each name ``parameters``, ``ratio`` (how many times fewer than the first), ``flops`` of one sample,
        ``bytes`` of a file of its weights, and ``images_per_second``.
    """
    largest = count_parameters(next(iter(generators.values())))
    costs: dict[str, Costs] = {}
    for name, generator in generators.items():
        count = count_parameters(generator)
        costs[name] = {
            "parameters": count,
            "ratio": largest / count,
            "flops": count_flops(generator, *_noise(generator, 1, 0, device)),
            "bytes": state_dict_size(generator),
            "images_per_second": throughput(generator, *_noise(generator, batch_size, 0, device), seconds=seconds),
        }
    return costs


def _noise(generator: Generator, n: int, seed: int, device: torch.device) -> tuple[Tensor, ...]:
    latents = generator.sample_latents(n, "cpu", torch.Generator().manual_seed(seed)).to(device)
    if generator.num_classes == 0:
        return (latents,)
    return latents, torch.arange(n, device=device) % generator.num_classes


@torch.no_grad()
def write_picture(
    generators: Mapping[str, Generator], columns: int, seed: int, device: torch.device, path: Path
) -> None:
    """Write a row a generator: samples of the same noise, then a way between two of these noises.

    The way is a straight line in the noise, from the first to the second (GAN-KD, figure 5).
    """
    figure = Figure(figsize=(0.5 * (2 * columns + 3), 0.55 * len(generators) + 0.4), dpi=150)
    axes = figure.subplots(len(generators), 2, squeeze=False)
    for row, (name, generator) in zip(axes, generators.items(), strict=True):
        latents, *classes = _noise(generator, columns, seed, device)
        way = torch.lerp(latents[:1], latents[-1:], torch.linspace(0, 1, columns, device=device)[:, None])
        between = (way, *(part[:1].expand(columns) for part in classes))
        for axis, drawn in zip(row, ((latents, *classes), between), strict=True):
            strip = torch.cat(list(encode(generator(*drawn)).cpu().permute(0, 2, 3, 1)), dim=1)
            axis.imshow(strip.squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    axes[0][0].set_title("the same noise", fontsize=8)
    axes[0][1].set_title("between two noises", fontsize=8)
    figure.tight_layout(pad=0.3)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")


def print_table(costs: Mapping[str, Costs]) -> None:
    """Print one line a generator."""
    table = Table(box=None)
    table.add_column("")
    for heading in ("parameters", "ratio", "operations", "bytes", "images/s"):
        table.add_column(heading, justify="right")
    for name, row in costs.items():
        table.add_row(
            name,
            f"{row['parameters']:,.0f}",
            f"{row['ratio']:.1f}",
            f"{row['flops']:,.0f}",
            f"{row['bytes']:,.0f}",
            f"{row['images_per_second']:,.0f}",
        )
    Console().print(table)
