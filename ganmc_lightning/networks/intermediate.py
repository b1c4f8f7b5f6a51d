"""What a network makes of its inputs on the way to its logits, whatever network it is."""

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
"""The layer before the logits: a submodule of this name in the classifiers of this package."""
LOGITS = "logits"
"""Not a layer: the network's own output."""


@runtime_checkable
class SupportsForwardFeatures(Protocol):
    """A network that returns its features itself, so that no hook is needed to get at them."""

    def forward_features_and_logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features, which go by the name of :data:`FEATURES`, and the logits (N, K)."""
        ...


class ModelOutput(NamedTuple):
    """What a network says of a batch.

    Attributes:
        logits: float (N, K).
        features: one tensor for each layer that was asked for, (N, F) or (N, C, H, W).
    """

    logits: Tensor
    features: tuple[Tensor, ...]


@contextmanager
def record_outputs(
    network: nn.Module, layers: Iterable[str], transform: Callable[[tuple[Any, ...], Any], Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Record the outputs of layers during the forward passes inside the context, by forward hooks.

    Args:
        network: module whose layers are recorded.
        layers: names of submodules, as in ``network.named_modules()``; ``""`` is the network itself.
        transform: function of a layer's positional inputs and its output that returns the recorded value (default:
            the output). It runs right after the layer, before later layers can overwrite the output in place.

    Yields:
        Mapping from layer name to the value of the layer's last call. Layers that were not called are absent.

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
    """Return a network's logits and what some of its layers make of the same inputs, in one forward pass.

    A layer is a submodule, by its name in ``named_modules()``: ``"features"`` for the classifiers of this package
    (the layer before the logits), ``"avgpool"`` for torchvision's ResNets. ``"logits"`` is the output itself. A
    network that :class:`SupportsForwardFeatures` is asked for ``"features"``; of all others the outputs of the layers
    are caught by forward hooks, which are gone when this function returns. The last output counts where a layer is used
    several times, and maps of one pixel, (N, C, 1, 1), are returned as vectors (N, C).

    The results are the same inside ``torch.compile`` and with a network that is itself compiled, as long as it was not
    called in the same mode without hooks before; then its compiled code would pass them over, which is an error here.

    Args:
        network: any module from samples to logits; without a graph where it is
            :class:`~ganmc_lightning.networks.Frozen`.
        layers: names of layers.
        inputs: samples (N, ...).

    Raises:
        RuntimeError: a layer was not run, or a network that had been compiled without hooks passed them over.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> answer = forward_with_features(network, ["1", "logits"], torch.zeros(2, 4))
        >>> [tuple(features.shape) for features in answer.features]
        [(2, 8), (2, 3)]
    """
    if isinstance(network, Frozen):
        with torch.no_grad():
            return forward_with_features(network.network, layers, network.normalize(inputs))
    found: dict[str, Tensor] = {}
    if FEATURES in layers and isinstance(network, SupportsForwardFeatures):
        found[FEATURES], logits = network.forward_features_and_logits(inputs)
        if not set(layers) <= {FEATURES, LOGITS}:
            raise RuntimeError("a network that returns its features itself is asked for 'features' and 'logits' alone")
    else:
        logits = _run_recorded(network, layers, inputs, found)
    found[LOGITS] = logits
    return ModelOutput(logits, tuple(_without_single_pixels(found[layer]) for layer in layers))


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
    """A network that answers with one of its layers, for whatever wants features of a plain module.

    A :class:`~ganmc_lightning.losses.PerceptualLoss` in the eyes of a teacher's discriminator, for instance, needs no
    data and no classifier. A layer that the next one overwrites in place shows what the next one makes.

    Args:
        network: any module from samples to features.
        layer: a name as for :func:`forward_with_features`.

    Raises:
        ConfigurationError: there is no such layer.

    Example:
        >>> IntermediateLayer(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), "1")(torch.zeros(2, 4)).shape
        torch.Size([2, 8])
    """

    def __init__(self, network: nn.Module, layer: str = FEATURES) -> None:
        super().__init__()
        _check_name("IntermediateLayer.network", network, layer)
        self.network = network
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's output, (N, F) or (N, C, H, W)."""
        (features,) = forward_with_features(self.network, [self.layer], inputs).features
        return features


# -- before training -------------------------------------------------------------------------------------------


def dry_run_layers(name: str, network: nn.Module, layers: Sequence[str], spec: DataSpec) -> tuple[Tensor, ...]:
    """Try a classifier on two samples and return the features of its layers.

    Args:
        name: its key in the configuration, for the message.
        network: any module from samples to logits.
        layers: names of layers, as for :func:`forward_with_features`.
        spec: what the data look like.

    Raises:
        ConfigurationError: the network does not fit the data, has no such layer, or a layer's output is not a tensor
            with a row for each sample, is never made, or is overwritten by the layer behind it.
    """
    inner = _innermost(network)
    for layer in layers:
        _check_name(name, inner, layer)
    seen: dict[str, tuple[Any, int]] = {}
    logits = dry_run(name, network, spec, lambda inputs: _run_versioned(network, layers, inputs, seen))
    check_logits(name, inner, logits, spec)
    for layer in layers:
        _check_output(f"layer '{layer}' of {name} ({type(inner).__name__})", seen.get(layer))
    return tuple(_without_single_pixels(seen[layer][0]) for layer in layers)


def _innermost(network: nn.Module) -> nn.Module:
    while isinstance(network, Frozen):
        network = network.network
    return network


def _check_name(name: str, network: nn.Module, layer: str) -> None:
    own = isinstance(network, SupportsForwardFeatures)
    layers = [FEATURES] if own else [each for each, _ in network.named_modules() if each]
    if layer in (LOGITS, *layers):
        return
    close = get_close_matches(layer, layers, n=1, cutoff=0.75)
    guess = f"did you mean '{close[0]}'? " if close else ""
    above = layer.rpartition(".")[0]
    while above and above not in layers:
        above = above.rpartition(".")[0]
    beside = [each for each in layers if each.rpartition(".")[0] == above]
    raise ConfigurationError(
        f"{name} ({type(network).__name__}) has no layer '{layer}': {guess}there are {', '.join([*beside, LOGITS])}"
    )


def _run_versioned(network: nn.Module, layers: Sequence[str], inputs: Tensor, seen: dict[str, tuple[Any, int]]) -> Any:
    """Ask the network; note each layer's output, and its version at the time it was made."""
    if isinstance(network, Frozen):
        return _run_versioned(network.network, layers, network.normalize(inputs), seen)
    if isinstance(network, SupportsForwardFeatures):
        features, logits = network.forward_features_and_logits(inputs)
        seen[FEATURES] = _with_version(features)
    else:
        with record_outputs(network, {*layers} - {LOGITS}, lambda _, output: _with_version(output)) as recorded:
            logits = network(inputs)
        seen.update(recorded)
    seen[LOGITS] = _with_version(logits)
    return logits


def _with_version(output: Any) -> tuple[Any, int]:
    return output, output._version if isinstance(output, Tensor) else 0


def _check_output(what: str, noted: tuple[Any, int] | None) -> None:
    if noted is None:
        raise ConfigurationError(f"{what} is not run on the way to the logits: name another")
    output, version = noted
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigurationError(f"{what} makes {shape} of two samples, not a row of features for each: name another")
    if output._version != version:
        raise ConfigurationError(f"what {what} makes is overwritten in place by the layer behind it: name that one")
