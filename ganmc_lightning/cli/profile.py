"""``ganmc profile``: measure parameters, FLOPs, size and throughput of generators, and plot their samples."""

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

from ganmc_lightning.batch import check_generated, to_uint8_images
from ganmc_lightning.cli.profile_arguments import parse_generators
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.io.images import PLOT_CHANNELS
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_generator
from ganmc_lightning.networks.profiling import (
    count_flops,
    count_parameters,
    device_name,
    state_dict_size,
    throughput,
)
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import read_run_result

Costs = dict[str, float]
LATENT_SPEC = ("latent_dim", "latent_std", "num_classes", "sample_shape")


def run(arguments: argparse.Namespace) -> int:
    """Measure the generators, plot their samples and write the result.

    Raises:
        ConfigurationError: a checkpoint has no generator, latents or samples of the generators differ in shape, samples
            are not finite, or the output cannot be written.
    """
    started = time.monotonic()
    folder = RunFolder(arguments.out)
    folder.check_no_training("--out")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generators = {name: generator.to(device) for name, generator in load_generators(arguments.generators).items()}
    check_compatible(generators)
    metrics = {} if arguments.metrics_json is None else _read_metrics(arguments.metrics_json)
    costs = measure(generators, arguments.batch_size, arguments.benchmark_seconds, device)
    metrics |= {f"test/{name}/{metric}": value for name, row in costs.items() for metric, value in row.items()}
    shape = next(iter(generators.values())).sample_shape
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.update_result(
            command=arguments.command,
            seed=arguments.seed,
            metrics=metrics,
            train_seconds=round(time.monotonic() - started, 2),
            device=device_name(device),
            settings={"batch_size": arguments.batch_size, "threads": torch.get_num_threads()},
        )
        if len(shape) == 3 and shape[0] in PLOT_CHANNELS:
            path = folder.samples / "comparison.png"
            save_latent_interpolation(generators, arguments.num_samples, arguments.seed, device, path)
        elif len(shape) == 3:
            print(f"no figure: got samples of shape {tuple(shape)}, expected images of 1, 3 or 4 channels")
    except OSError as error:
        raise ConfigurationError(f"--out: cannot write to {folder.path} ({error.strerror})") from error
    print_table(costs)
    return 0


def load_generators(texts: list[str]) -> dict[str, Generator]:
    """Load generators from ``NAME=CHECKPOINT``, in evaluation mode on the CPU.

    Raises:
        ConfigurationError: a text is not ``NAME=CHECKPOINT``, a name occurs twice, or a checkpoint has no generator.
    """
    checkpoints = parse_generators(texts)
    return {name: load_generator(*split_checkpoint_path(path)) for name, path in checkpoints.items()}


def _read_metrics(path: Path) -> Costs:
    """Read the metrics ``test/<name>/<metric>`` from a ``result.json`` of ``ganmc evaluate``.

    Raises:
        ConfigurationError: the file is missing or has no metrics.
    """
    result = read_run_result(path)
    metrics = {} if result is None else {k: v for k, v in result.metrics.items() if k.startswith("test/")}
    if not metrics:
        raise ConfigurationError(f"{path}: no metrics found: write them with ganmc evaluate --out {path.parent}")
    return metrics


def check_compatible(generators: Mapping[str, Generator]) -> None:
    """Raise :class:`~ganmc_lightning.exceptions.ConfigurationError` unless latents and samples have equal shapes."""
    (first, reference), *others = generators.items()
    for name, generator in others:
        for attribute in LATENT_SPEC:
            expected, actual = getattr(reference, attribute), getattr(generator, attribute)
            if expected != actual:
                raise ConfigurationError(
                    f"cannot compare {first} and {name}: {attribute} is {expected} and {actual}, expected equal values"
                )


def measure(
    generators: Mapping[str, Generator], batch_size: int, seconds: float, device: torch.device
) -> dict[str, Costs]:
    """Measure size and speed of each generator.

    Returns:
        For each name: ``parameters``, ``compression_ratio`` (relative to the first), ``flops`` for one sample,
        ``bytes`` of the saved weights, and ``images_per_second``.
    """
    first = count_parameters(next(iter(generators.values())))
    costs: dict[str, Costs] = {}
    for name, generator in generators.items():
        count = count_parameters(generator)
        batch = _latents_and_labels(generator, batch_size, 0, device)
        costs[name] = {
            "parameters": count,
            "compression_ratio": first / count,
            "flops": count_flops(generator, *_latents_and_labels(generator, 1, 0, device)),
            "bytes": state_dict_size(generator),
            "images_per_second": throughput(generator, *batch, seconds=seconds),
        }
    return costs


def _latents_and_labels(generator: Generator, n: int, seed: int, device: torch.device) -> tuple[Tensor, ...]:
    latents = generator.sample_latents(n, "cpu", torch.Generator().manual_seed(seed)).to(device)
    if generator.num_classes == 0:
        return (latents,)
    return latents, torch.arange(n, device=device) % generator.num_classes


@torch.no_grad()
def save_latent_interpolation(
    generators: Mapping[str, Generator], num_samples: int, seed: int, device: torch.device, path: Path
) -> None:
    """Plot one row per generator: samples of the same latents, and a latent interpolation (GAN-KD, figure 5).

    The interpolation is linear, from the first latents to the last.

    Raises:
        ConfigurationError: samples are NaN or infinite, or images exceed [-1, 1].
    """
    figure = Figure(figsize=(0.5 * (2 * num_samples + 3), 0.55 * len(generators) + 0.4), dpi=150)
    axes = figure.subplots(len(generators), 2, squeeze=False)
    for row, (name, generator) in zip(axes, generators.items(), strict=True):
        latents, *labels = _latents_and_labels(generator, num_samples, seed, device)
        weights = torch.linspace(0, 1, num_samples, device=device)[:, None]
        interpolated = torch.lerp(latents[:1], latents[-1:], weights)
        for axis, inputs in zip(
            row, ((latents, *labels), (interpolated, *(each[:1].expand(num_samples) for each in labels))), strict=True
        ):
            samples = generator(*inputs)
            check_generated(samples, name)
            strip = torch.cat(list(to_uint8_images(samples).cpu().permute(0, 2, 3, 1)), dim=1)
            axis.imshow(strip.squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    axes[0][0].set_title("same latents", fontsize=8)
    axes[0][1].set_title("latent interpolation", fontsize=8)
    figure.tight_layout(pad=0.3)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")


def print_table(costs: Mapping[str, Costs]) -> None:
    """Print one line per generator."""
    table = Table(box=None)
    table.add_column("")
    for heading in ("parameters", "compression", "FLOPs", "bytes", "images/s"):
        table.add_column(heading, justify="right")
    for name, row in costs.items():
        table.add_row(
            name,
            f"{row['parameters']:,.0f}",
            f"{row['compression_ratio']:.1f}",
            f"{row['flops']:,.0f}",
            f"{row['bytes']:,.0f}",
            f"{row['images_per_second']:,.0f}",
        )
    Console().print(table)
