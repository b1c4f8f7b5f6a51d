"""Network of an exported file, with the conversion of its inputs and outputs inside."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ganmc_lightning.batch import DataSpec, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.validation import are_probabilities
from ganmc_lightning.networks.wrappers import unwrap

BATCH = "batch"
"""Name of the dynamic dimension of all inputs and outputs."""
ROWS = "rows"
"""Name of the inputs of a classifier, or the outputs of a generator, of z-scored rows."""


class DeployedClassifier(nn.Module):
    """Classifier with the conversion of uint8 images and the softmax inside.

    Args:
        network: classifier of float samples (N, ...), images in [-1, 1].
        uint8_inputs: whether the inputs are uint8 images in [0, 255].
        probabilities: whether the outputs are probabilities instead of logits.

    Example:
        >>> network = DeployedClassifier(nn.Flatten(), uint8_inputs=True, probabilities=False)
        >>> network(torch.tensor([[[[0, 255]]]], dtype=torch.uint8))
        tensor([[-1.,  1.]])
    """

    def __init__(self, network: nn.Module, uint8_inputs: bool, probabilities: bool) -> None:
        super().__init__()
        self.network = network
        self.uint8_inputs = uint8_inputs
        self.probabilities = probabilities

    def forward(self, samples: Tensor) -> Tensor:
        """Return logits or probabilities (N, K)."""
        if self.uint8_inputs:
            samples = samples.to(torch.float32) * (2 / 255) - 1
        logits: Tensor = self.network(samples)
        return logits.softmax(1) if self.probabilities else logits


class DeployedGenerator(nn.Module):
    """Generator with the conversion to uint8 images inside.

    Args:
        network: generator of rows or of images in [-1, 1].
        uint8_outputs: whether the outputs are uint8 images in [0, 255].
    """

    def __init__(self, network: Generator, uint8_outputs: bool) -> None:
        super().__init__()
        self.network = network
        self.uint8_outputs = uint8_outputs

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples (N, *sample_shape)."""
        samples: Tensor = self.network(latents, labels)
        return to_uint8_images(samples) if self.uint8_outputs else samples


class InputSpec(NamedTuple):
    """An input of an exported network.

    Attributes:
        name: name in the file.
        shape: shape without the batch dimension.
        dtype: data type.
        limit: exclusive upper bound of integers; 0 for floats.
        std: standard deviation of random inputs, which are normal; 0 for images, which are uniform in [-1, 1].
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    limit: int = 0
    std: float = 0.0

    def random(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n random inputs, (n, *shape)."""
        shape = (n, *self.shape)
        if self.limit:
            return torch.randint(self.limit, shape, generator=generator).to(self.dtype)
        if self.std:
            return torch.randn(shape, generator=generator) * self.std
        return torch.rand(shape, generator=generator) * 2 - 1

    def __str__(self) -> str:
        sizes = ", ".join(map(str, ("N", *self.shape)))
        values = f" in [0, {self.limit - 1}]" if self.limit else " in [-1, 1]"
        if self.std:
            values = ", z-scores" if self.name == ROWS else f", normal, mean 0, standard deviation {self.std:g}"
        return f"{self.name}: {str(self.dtype).removeprefix('torch.')} ({sizes}){values}"


@dataclass(frozen=True)
class Deployment:
    """A network to export, on the CPU, in float32 and in evaluation mode.

    Attributes:
        module: network with the conversions of its inputs and outputs.
        inputs: inputs of ``module``.
        output: name of the output of ``module``.
        spec: specification of the network's training data.
        recipe: ``class_path`` and ``init_args`` of the network; None if unknown.
        calibration: float samples (M, *sample_shape) that determine the ranges of int8 activations; None without them.
    """

    module: DeployedClassifier | DeployedGenerator
    inputs: tuple[InputSpec, ...]
    output: str
    spec: DataSpec
    recipe: Mapping[str, Any] | None = None
    calibration: Tensor | None = field(default=None, repr=False)

    def random_inputs(self, n: int, seed: int) -> tuple[Tensor, ...]:
        """Return n random inputs of the module; equal seeds give equal inputs."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(spec.random(n, generator) for spec in self.inputs)

    @cached_property
    def program(self) -> ExportedProgram:
        """Graph of the module with a dynamic batch size (``torch.export``).

        Raises:
            ConfigurationError: the network's code cannot be traced, or it fixes the batch size.
        """
        shapes = tuple({0: Dim(BATCH)} for _ in self.inputs)
        try:
            # Batches of one sample would fix the batch size to 1.
            return torch.export.export(self.module, self.random_inputs(2, seed=0), dynamic_shapes=shapes)
        except Exception as error:  # torch.export raises many types for unsupported code
            name = type(self.module.network).__name__
            raise ConfigurationError(
                f"{name}: cannot be exported with a dynamic batch size by torch.export: {one_line(error)[:300]}"
            ) from error


def make_deployment(
    network: nn.Module,
    spec: DataSpec,
    *,
    uint8_inputs: bool = False,
    uint8_outputs: bool = False,
    probabilities: bool = False,
    calibration: Tensor | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Deployment:
    """Copy a classifier or generator, and add the conversions of its inputs and outputs.

    Raises:
        ConfigurationError: an option does not apply to the network or its samples, or the network returns no logits of
            the classes of ``spec``.
    """
    network = copy.deepcopy(unwrap(network)).to("cpu", torch.float32).eval()
    if isinstance(network, Generator):
        for option, value in (("uint8_inputs", uint8_inputs), ("probabilities", probabilities)):
            if value:
                raise ConfigurationError(f"{option}: got a generator, expected a classifier")
        _check_images("uint8_outputs", uint8_outputs, network.sample_shape)
        inputs = [InputSpec("latents", (network.latent_dim,), std=network.latent_std)]
        if network.num_classes:
            inputs.append(InputSpec("labels", (), torch.int64, limit=network.num_classes))
        spec = spec._replace(sample_shape=tuple(network.sample_shape))
        generator = DeployedGenerator(network, uint8_outputs)
        return Deployment(generator, tuple(inputs), _samples(spec), spec, recipe)
    if uint8_outputs:
        raise ConfigurationError("uint8_outputs: got a classifier, expected a generator of images")
    _check_images("uint8_inputs", uint8_inputs, spec.sample_shape)
    name, rows = _samples(spec), len(spec.sample_shape) == 1
    pixels = InputSpec(name, spec.sample_shape, torch.uint8, limit=256)
    input_spec = pixels if uint8_inputs else InputSpec(name, spec.sample_shape, std=float(rows))
    _check_classifier(DeployedClassifier(network, uint8_inputs, probabilities=False), input_spec, spec)
    module = DeployedClassifier(network, uint8_inputs, probabilities).eval()
    output = "probabilities" if probabilities else "logits"
    return Deployment(module, (input_spec,), output, spec, recipe, calibration)


def _samples(spec: DataSpec) -> str:
    return ROWS if len(spec.sample_shape) == 1 else "images"


def _check_images(option: str, value: bool, sample_shape: tuple[int, ...]) -> None:
    if value and len(sample_shape) != 3:
        raise ConfigurationError(f"{option}: got samples of shape {sample_shape}, expected images (C, H, W)")


@torch.no_grad()
def _check_classifier(module: DeployedClassifier, inputs: InputSpec, spec: DataSpec) -> None:
    """Raise :class:`ConfigurationError` unless the network returns one logit per class and sample."""
    name = type(module.network).__name__
    try:
        outputs = module(inputs.random(2, torch.Generator().manual_seed(0)))
    except ConfigurationError:
        raise
    except Exception as error:  # a network of other inputs raises any type
        raise ConfigurationError(
            f"{name}: cannot be used on samples of shape {spec.sample_shape}: {one_line(error)[:300]}"
        ) from error
    expected = (2, spec.num_classes)
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected:
        actual = tuple(outputs.shape) if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise ConfigurationError(
            f"{name}: returned {actual} for 2 samples, expected logits {expected} of a classifier, or a Generator"
        )
    if are_probabilities(outputs):
        raise ConfigurationError(
            f"{name}: returned probabilities (each row sums to 1), expected logits; remove its final softmax, or wrap "
            'it: PretrainedClassifier(network, outputs="probabilities")'
        )
