"""``ganmc export``: write a trained network as ONNX, ``torch.export``, safetensors or int8 file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data.datasets import ImageFileDataset, TensorDataset
from ganmc_lightning.data.datasets.opening import open_dataset
from ganmc_lightning.evaluation.real_data import load_datamodule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.export import ExportedFile, export_network
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.loading import load_network
from ganmc_lightning.networks.resolving import find_recipe
from ganmc_lightning.networks.training_data import get_training_data
from ganmc_lightning.runs.folder import RunFolder

CALIBRATION_SAMPLES = 512


def run(arguments: argparse.Namespace) -> int:
    """Load the network, write and verify its files, and print their sizes and latencies.

    Raises:
        ConfigurationError: the network cannot be loaded or exported, or an option does not apply to it.
        ExportError: the outputs of a file differ from PyTorch's.
    """
    network = load_network(arguments.network, arguments.submodule)
    spec = network_spec(network, arguments.network)
    generator = isinstance(network, Generator)
    check_options(arguments, generator, spec)
    recipe = read_recipe(arguments) if "safetensors" in arguments.formats else None
    check_writable(arguments.out, "--out")
    files = export_network(
        network,
        arguments.out,
        arguments.formats,
        spec=spec,
        uint8_inputs=arguments.uint8 and not generator,
        uint8_outputs=arguments.uint8 and generator,
        probabilities=arguments.probabilities,
        calibration=read_calibration(arguments, spec) if "int8" in arguments.formats else None,
        tolerance=arguments.tolerance,
        recipe=recipe,
    )
    print_files(files)
    return 0


def network_spec(network: nn.Module, path: str) -> DataSpec:
    """Return shape and classes of a network's samples.

    Raises:
        ConfigurationError: they are unknown.
    """
    spec = get_training_data(network)
    if isinstance(network, Generator):
        return spec or DataSpec(tuple(network.sample_shape), network.num_classes)
    if spec is None or not spec.has_samples:
        raise ConfigurationError(
            f"{path}: contains no shape of its training samples, expected a checkpoint of ganmc fit; in Python, pass "
            "the shape: export_network(network, folder, formats, spec=DataSpec(sample_shape, num_classes))"
        )
    return spec


def check_options(arguments: argparse.Namespace, generator: bool, spec: DataSpec) -> None:
    """Validate that the options apply to the network.

    Raises:
        ConfigurationError: naming the option.
    """
    if generator and arguments.probabilities:
        raise ConfigurationError(f"--probabilities: {arguments.network} is a generator, expected a classifier")
    if generator and "int8" in arguments.formats:
        raise ConfigurationError(f"--format: int8 expects a classifier, got the generator {arguments.network}")
    if arguments.uint8 and len(spec.sample_shape) != 3:
        raise ConfigurationError(f"--uint8: {arguments.network} is a network of rows, expected images")
    if "int8" in arguments.formats and arguments.calibration is None and arguments.run is None:
        raise ConfigurationError("--calibration: required for int8: training images, such as a folder, or export RUN")


def read_recipe(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Return the recipe of the network, without which a ``.safetensors`` file cannot be loaded.

    Raises:
        ConfigurationError: there is none.
    """
    recipe = find_recipe(arguments.network, arguments.submodule)
    if recipe is None:
        raise ConfigurationError(
            f"--format: safetensors requires the recipe of the network, got {arguments.network}, which contains none; "
            "expected other formats"
        )
    return recipe


def read_calibration(arguments: argparse.Namespace, spec: DataSpec) -> Tensor:
    """Return at most :data:`CALIBRATION_SAMPLES` training samples (M, *sample_shape), the same for each call.

    Raises:
        ConfigurationError: the data are not found, or are not the samples of the network.
    """
    if arguments.calibration is None:
        data = load_datamodule(str(RunFolder(arguments.run).config), in_memory=False)
        return take_samples(data.split("train"))
    name = arguments.calibration
    if len(spec.sample_shape) == 1:
        raise ConfigurationError(
            "--calibration: the network takes scaled rows, expected a run folder instead of a file"
        )
    channels, *size = spec.sample_shape
    stored = len(size) != 2 or name.endswith(".npz") or (":" not in name and not Path(name).exists())
    color: Literal[1, 3] = 1 if channels == 1 else 3
    source = open_dataset(name) if stored else open_dataset(name, image_size=size[0], channels=color)
    root = data_root()
    source.prepare(root)
    samples = take_samples(source.load(root).train)
    if channels == 3 and samples.dim() == 4 and samples.shape[1] == 1:  # as in ganmc compress
        samples = samples.expand(-1, 3, -1, -1).contiguous()
    if tuple(samples.shape[1:]) != tuple(spec.sample_shape):
        raise ConfigurationError(
            f"--calibration: {name} has samples of shape {tuple(samples.shape[1:])}, expected {spec.sample_shape}"
        )
    return samples


def take_samples(dataset: TensorDataset | ImageFileDataset) -> Tensor:
    """Return at most :data:`CALIBRATION_SAMPLES` random samples of a data set, the same for each call."""
    indices = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:CALIBRATION_SAMPLES]
    if isinstance(dataset, TensorDataset):
        return dataset.inputs[indices]
    return torch.stack([dataset[int(index)][0] for index in indices])


def print_files(files: Sequence[ExportedFile]) -> None:
    """Print one line per file."""
    table = Table(box=None)
    table.add_column("file")
    for heading in ("bytes", "largest difference", "ms, batch 1", "ms, batch 64"):
        table.add_column(heading, justify="right")
    for file in files:
        latencies = (f"{1000 * file.latency[n]:.3g}" for n in (1, 64))
        table.add_row(str(file.path), f"{file.bytes:,}", f"{file.max_difference:.2g}", *latencies)
    Console(markup=False, emoji=False).print(table)  # a path may contain [v1] or :x:
    for file in files:
        if file.agreement is not None:
            print(f"{file.format}: {file.agreement:.1%} of the calibration samples keep their class")
