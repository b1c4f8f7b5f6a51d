"""Forward pass that also returns the outputs of intermediate layers, via forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.validation import check_logits, dry_run

FEATURES = "features"
"""Submodule before the logits in the classifiers of this package."""
LOGITS = "logits"
"""Name of the output of the network."""


@runtime_checkable
class SupportsForwardFeatures(Protocol):
    """Interface of networks that return features and logits from one method, without hooks."""

    def forward_features_and_logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features, named :data:`FEATURES`, and the logits (N, K)."""
        ...


class ModelOutput(NamedTuple):
    """Output of a network and of some of its layers for a batch.

    Attributes:
        logits: float (N, K).
        features: one tensor (N, F) or (N, C, H, W) per requested layer.
    """

    logits: Tensor
    features: tuple[Tensor, ...]


@contextmanager
def record_outputs(
    network: nn.Module, layers: Iterable[str], transform: Callable[[tuple[Any, ...], Any], Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Record the outputs of layers during the forward passes inside the context, by forward hooks.

    Args:
        network: module with the layers.
        layers: names of submodules as in ``network.named_modules()``; ``""`` is the network itself.
        transform: function of a layer's positional inputs and its output that returns the recorded value (default:
            the output). It runs right after the layer, before later layers can overwrite the output in place.

    Yields:
        Mapping from layer name to the recorded value of the layer's last call, without layers that were not called.

    Raises:
        AttributeError: the network has no such layer.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> with record_outputs(network, ["1"]) as outputs:
        ...     logits = network(torch.zeros(2, 4))
        >>> torch.equal(network[2](outputs["1"]), logits)
        True
    """
    outputs: dict[str, Any] = {}

    def hook_for(layer: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            outputs[layer] = output if transform is None else transform(inputs, output)

        return hook

    handles: list[RemovableHandle] = []
    try:
        for layer in layers:
            handles.append(network.get_submodule(layer).register_forward_hook(hook_for(layer)))  # noqa: PERF401
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def forward_with_features(network: nn.Module, layers: Sequence[str], inputs: Tensor) -> ModelOutput:
    """Return logits and features of intermediate layers in one forward pass.

    A layer is a submodule name, as in ``named_modules()``: ``"features"`` is the layer before the logits in the
    classifiers of this package, ``"avgpool"`` in torchvision's ResNets. ``"logits"`` is the output of the network.
    Features of networks that are :class:`SupportsForwardFeatures` are returned by the network; those of other networks
    are recorded by temporary forward hooks. If a layer runs several times, its last output is returned. Maps of one
    pixel, (N, C, 1, 1), are returned as vectors (N, C).

    The function works inside ``torch.compile`` and with compiled networks, unless the network was compiled and called
    without hooks before, which raises an error.

    Args:
        network: network of samples that returns logits; no graph is built for
            :class:`~ganmc_lightning.networks.Frozen`.
        layers: names of layers.
        inputs: samples (N, ...).

    Raises:
        RuntimeError: a layer was not run, or the network was compiled without hooks.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> output = forward_with_features(network, ["1", "logits"], torch.zeros(2, 4))
        >>> [tuple(features.shape) for features in output.features], output.features[1] is output.logits
        ([(2, 8), (2, 3)], True)
    """
    if isinstance(network, Frozen):
        with torch.no_grad():
            inner = network.network if {*layers} - {LOGITS} else network.folded
            return forward_with_features(inner, layers, network.normalize(inputs))
    outputs: dict[str, Tensor] = {}
    if FEATURES in layers and isinstance(network, SupportsForwardFeatures):
        outputs[FEATURES], logits = network.forward_features_and_logits(inputs)
        if not set(layers) <= {FEATURES, LOGITS}:
            raise RuntimeError(
                f"{type(network).__name__}: got layers {list(layers)}, expected 'features' and 'logits' only"
            )
    else:
        logits = _run_recorded(network, layers, inputs, outputs)
    outputs[LOGITS] = logits
    return ModelOutput(logits, tuple(_without_single_pixels(outputs[layer]) for layer in layers))


def _run_recorded(network: nn.Module, layers: Sequence[str], inputs: Tensor, outputs: dict[str, Tensor]) -> Tensor:
    names = {layer for layer in layers if layer != LOGITS}
    with record_outputs(network, names) as recorded:
        logits: Tensor = network(inputs)
    if missing := sorted(names - recorded.keys()):
        raise RuntimeError(
            f"{type(network).__name__}: layer '{missing[0]}' produced no output: it is not used in forward(), or the "
            "network was compiled and first called without hooks (compile the module instead, or call "
            "torch.compiler.reset() before training)"
        )
    outputs.update(recorded)
    return logits


def _without_single_pixels(features: Tensor) -> Tensor:
    return features.flatten(1) if features.dim() == 4 and features.shape[2:] == (1, 1) else features


class IntermediateLayer(nn.Module):
    """Network that returns the output of one of its layers.

    It is used e.g. for a :class:`~ganmc_lightning.losses.PerceptualLoss` on features of a teacher's discriminator. If
    the next layer overwrites the output in place, the overwritten values are returned.

    Args:
        network: network of samples.
        layer: name of a layer, as for :func:`forward_with_features`.

    Raises:
        ConfigurationError: the network has no such layer.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> features = IntermediateLayer(network, "1")(torch.ones(2, 4))
        >>> features.shape, torch.equal(features, network[:2](torch.ones(2, 4)))
        (torch.Size([2, 8]), True)
    """

    def __init__(self, network: nn.Module, layer: str = FEATURES) -> None:
        super().__init__()
        _check_name("IntermediateLayer.network", network, layer)
        self.network = network
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output of the layer, (N, F) or (N, C, H, W)."""
        (features,) = forward_with_features(self.network, [self.layer], inputs).features
        return features


def dry_run_layers(name: str, network: nn.Module, layers: Sequence[str], spec: DataSpec) -> tuple[Tensor, ...]:
    """Run a classifier on two samples and return the features of its layers.

    With layers, it also runs in training mode, in which e.g. dropout may overwrite an output. Its state is unchanged.

    Args:
        name: configuration key of the network, for error messages.
        network: network of samples that returns logits.
        layers: names of layers, as for :func:`forward_with_features`.
        spec: specification of the data.

    Raises:
        ConfigurationError: the network does not match the data; a layer does not exist or is not run; or its output is
            not a tensor with one row per sample, or is overwritten by a later layer.
    """
    inner = _innermost(network)
    for layer in layers:
        _check_name(name, inner, layer)
    outputs: dict[str, tuple[Any, int]] = {}
    logits = dry_run(name, network, spec, lambda inputs: _run_versioned(network, layers, inputs, outputs))
    check_logits(name, inner, logits, spec)
    keys = {layer: f"layer '{layer}' of {name} ({type(inner).__name__})" for layer in layers}
    for layer, key in keys.items():
        _check_output(key, outputs.get(layer), "by the next layer; choose that layer")
    if layers:
        trained: dict[str, tuple[Any, int]] = {}
        dry_run(name, network, spec, lambda inputs: _run_versioned(network, layers, inputs, trained), training=True)
        for layer, key in keys.items():
            _check_output(key, trained.get(layer), "in training mode; set inplace=False, or choose another layer")
    return tuple(_without_single_pixels(outputs[layer][0]) for layer in layers)


def _innermost(network: nn.Module) -> nn.Module:
    while isinstance(network, Frozen):
        network = network.network
    return network


def _check_name(name: str, network: nn.Module, layer: str) -> None:
    supported = isinstance(network, SupportsForwardFeatures)
    layers = [FEATURES] if supported else [each for each, _ in network.named_modules() if each]
    if layer in (LOGITS, *layers):
        return
    close = get_close_matches(layer, layers, n=1, cutoff=0.75)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    parent = layer.rpartition(".")[0]
    while parent and parent not in layers:
        parent = parent.rpartition(".")[0]
    siblings = [each for each in layers if each.rpartition(".")[0] == parent]
    raise ConfigurationError(
        f"{name} ({type(network).__name__}): got the layer '{layer}', expected one of "
        f"{', '.join([*siblings, LOGITS])}{hint}"
    )


def _run_versioned(
    network: nn.Module, layers: Sequence[str], inputs: Tensor, outputs: dict[str, tuple[Any, int]]
) -> Any:
    """Run the network; record the output of each layer and its version, which in-place changes increment."""
    if isinstance(network, Frozen):
        return _run_versioned(network.network, layers, network.normalize(inputs), outputs)
    if isinstance(network, SupportsForwardFeatures):
        features, logits = network.forward_features_and_logits(inputs)
        outputs[FEATURES] = _with_version(features)
    else:
        with record_outputs(network, {*layers} - {LOGITS}, lambda _, output: _with_version(output)) as recorded:
            logits = network(inputs)
        outputs.update(recorded)
    outputs[LOGITS] = _with_version(logits)
    return logits


def _with_version(output: Any) -> tuple[Any, int]:
    return output, output._version if isinstance(output, Tensor) else 0


def _check_output(layer: str, recorded: tuple[Any, int] | None, overwritten: str) -> None:
    if recorded is None:
        raise ConfigurationError(f"{layer}: not used in forward(), expected a layer that is run")
    output, version = recorded
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigurationError(f"{layer}: returned {shape} for 2 samples, expected a tensor (2, ...)")
    if output._version != version:
        raise ConfigurationError(f"{layer}: its output is overwritten in place {overwritten}")
