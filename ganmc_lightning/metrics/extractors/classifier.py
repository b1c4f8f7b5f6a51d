"""Any classifier as feature extractor: the way to score small images, rows, and machines with no network."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, decode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.networks.validation import check_classifier, check_logits


class ClassifierExtractor(FeatureExtractor):
    """The features a classifier decides on, and its logits.

    Args:
        network: classifier from float images (N, C, H, W) in [-1, 1] or rows (N, D) to logits; a copy is kept.
        layer: dotted name of the layer whose output makes the features: maps (N, C, H, W) are averaged over
            space as Inception's are, other shapes flattened. Without it, the input of the last linear layer.
        sample_shape: shape of one sample, ``(C, H, W)`` or ``(D,)``, to try the network on; needed with ``layer``
            to learn how many features there are.
        name: what reports call it.

    Raises:
        ConfigurationError: no such layer, or no linear layer; the network does not take such samples, or does not
            return logits
            alone: the Inception Score takes their softmax, so that probabilities would go through it twice.

    Example:
        >>> from ganmc_lightning.networks import LeNet4
        >>> extractor = ClassifierExtractor(LeNet4())
        >>> features, logits = extractor(torch.zeros(5, 1, 28, 28))
        >>> features.shape, logits.shape
        (torch.Size([5, 120]), torch.Size([5, 10]))
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str | None = None,
        sample_shape: tuple[int, ...] | None = None,
        name: str = "classifier",
    ) -> None:
        network = copy.deepcopy(network).float().eval()
        self._checked_shape: tuple[int, ...] | None = None
        if layer is None:
            place, head = _last_linear(network, name)
            sizes = head.in_features, head.out_features
        else:
            place = layer
            sizes = _try_layer(network, layer, sample_shape, name)
        super().__init__(network, f"{name} ({type(network).__name__})", f"layer {layer}", *sizes)
        self.layer = layer
        self.place = place
        if sample_shape is not None:
            self._check_shape(sample_shape)

    def extract(self, samples: Tensor) -> Features:
        """Return the features at the layer and the logits."""
        self._check_shape(tuple(samples.shape[1:]))
        return _ask(self.network, self.place, self.layer is None, decode(samples))

    def settings(self) -> dict[str, str]:
        """Extractor, digest, layer; images are not resized."""
        return {
            "extractor": self.name,
            "extractor_digest": self.digest,
            "layer": self.layer or f"input of {self.place or 'the network'}",
            "resize": "none",
        }

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape != self._checked_shape:
            check_classifier("extractor", self.network, DataSpec(shape, self.num_classes))
            self._checked_shape = shape


def _ask(network: nn.Module, place: str, inputs_of_layer: bool, samples: Tensor) -> Features:
    """Run the network and catch what goes into or comes out of one layer."""
    caught: list[Tensor] = []

    def catch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        values = inputs[0] if inputs_of_layer else output
        if isinstance(values, Tensor):
            # Cloned, for the next layer may work in place.
            caught.append(values.mean(dim=(2, 3)) if values.ndim == 4 else values.flatten(1).clone())

    # For this call alone: a hook that stayed could not be pickled.
    handle = network.get_submodule(place).register_forward_hook(catch)
    try:
        logits = network(samples)
    finally:
        handle.remove()
    if not caught:
        raise ConfigurationError(
            f"layer '{place}' of {type(network).__name__} gives no tensor when it is run: name another"
        )
    return Features(caught[-1], logits)


def _last_linear(network: nn.Module, name: str) -> tuple[str, nn.Linear]:
    layers = [(place, layer) for place, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ConfigurationError(
            f"{name} ({type(network).__name__}) has no linear layer: name the layer to take features from"
        )
    return layers[-1]


def _try_layer(network: nn.Module, layer: str, shape: tuple[int, ...] | None, name: str) -> tuple[int, int]:
    """Numbers of features and of logits."""
    names = [place for place, _ in network.named_modules() if place]
    if layer not in names:
        raise ConfigurationError(f"{name} ({type(network).__name__}) has no layer '{layer}': it has {', '.join(names)}")
    if shape is None:
        raise ConfigurationError(f"layer '{layer}' needs sample_shape beside it, to learn how many features it gives")
    parameter = next(network.parameters())
    try:
        with torch.no_grad():
            found = _ask(network, layer, False, torch.zeros(2, *shape, device=parameter.device))
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            f"{name} ({type(network).__name__}) does not take samples of shape {shape}: {str(error).splitlines()[0]}"
        ) from error
    num_classes = found.logits.shape[1] if isinstance(found.logits, Tensor) and found.logits.ndim == 2 else 0
    check_logits(name, network, found.logits, DataSpec(shape, num_classes))
    return found.features.shape[1], num_classes
