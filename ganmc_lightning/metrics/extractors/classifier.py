"""Feature extractor from any classifier, for small images, rows, and machines without internet access."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.networks.intermediate import record_outputs
from ganmc_lightning.networks.validation import check_classifier, check_logits


class ClassifierExtractor(FeatureExtractor):
    """Features and logits of a classifier.

    Args:
        network: classifier from float images in [-1, 1] (N, C, H, W) or rows (N, D) to logits; it is copied.
        layer: dotted name of the layer whose output is used as features (default: the input of the last linear layer).
            Feature maps (N, C, H, W) are averaged over pixels, as in Inception; other shapes are flattened.
        sample_shape: shape of one sample, ``(C, H, W)`` or ``(D,)``, with which the network is validated; required
            with ``layer`` to determine the number of features.
        name: name in reports.

    Raises:
        ConfigurationError: the network does not have the layer, has no linear layer, does not accept the samples, or
            returns probabilities instead of logits (the Inception Score applies softmax itself).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> from ganmc_lightning.networks import LeNet4
        >>> network = LeNet4()
        >>> features, logits = ClassifierExtractor(network)(torch.zeros(5, 1, 28, 28))
        >>> features.shape, torch.allclose(network.classifier(features), logits)
        (torch.Size([5, 120]), True)
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
            hooked_layer, head = _last_linear(network, name)
            sizes = head.in_features, head.out_features
        else:
            hooked_layer = layer
            sizes = _dry_run_layer(network, layer, sample_shape, name)
        super().__init__(network, f"{name} ({type(network).__name__})", f"layer {layer}", *sizes)
        self.layer = layer
        self.hooked_layer = hooked_layer
        if sample_shape is not None:
            self._check_shape(sample_shape)

    def extract(self, samples: Tensor) -> Features:
        """Return the features of the layer and the logits."""
        self._check_shape(tuple(samples.shape[1:]))
        return _forward(self.network, self.hooked_layer, self.layer is None, to_float_images(samples))

    def settings(self) -> dict[str, str]:
        """Return extractor, digest, layer and resize."""
        size = self.network.image_size if getattr(self.network, "resize", False) else None
        return {
            "extractor": self.name,
            "extractor_digest": self.digest,
            "layer": self.layer or f"input of {self.hooked_layer or 'the network'}",
            "resize": "none" if size is None else f"bilinear to {size}x{size}, antialiased",
        }

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape != self._checked_shape:
            check_classifier("extractor", self.network, DataSpec(shape, self.num_classes))
            self._checked_shape = shape


def _forward(network: nn.Module, layer: str, of_input: bool, samples: Tensor) -> Features:
    """Return the features of one layer, from its input or output, and the logits."""

    def to_features(inputs: tuple[Any, ...], output: Any) -> Tensor | None:
        values = inputs[0] if of_input else output
        if not isinstance(values, Tensor):
            return None
        return (
            values.mean(dim=(2, 3)) if values.ndim == 4 else values.flatten(1).clone()
        )  # the next layer may be inplace

    with record_outputs(network, [layer], to_features) as outputs:
        logits = network(samples)
    features = outputs.get(layer)
    if features is None:
        raise ConfigurationError(f"layer '{layer}' of {type(network).__name__}: got no tensor in the forward pass")
    return Features(features, logits)


def _last_linear(network: nn.Module, name: str) -> tuple[str, nn.Linear]:
    layers = [(path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ConfigurationError(f"{name} ({type(network).__name__}) has no linear layer: specify the feature layer")
    return layers[-1]


def _dry_run_layer(network: nn.Module, layer: str, shape: tuple[int, ...] | None, name: str) -> tuple[int, int]:
    """Return the numbers of features and of logits."""
    names = [path for path, _ in network.named_modules() if path]
    described = f"{name} ({type(network).__name__})"
    if layer not in names:
        raise ConfigurationError(f"{described} has no layer '{layer}', expected one of {', '.join(names)}")
    if shape is None:
        raise ConfigurationError(f"layer '{layer}': sample_shape is required to determine the number of features")
    parameter = next(network.parameters())
    try:
        with torch.no_grad():
            output = _forward(network, layer, False, torch.zeros(2, *shape, device=parameter.device))
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            f"{described} does not accept samples of shape {shape}: {str(error).splitlines()[0]}"
        ) from error
    num_classes = output.logits.shape[1] if isinstance(output.logits, Tensor) and output.logits.ndim == 2 else 0
    check_logits(name, network, output.logits, DataSpec(shape, num_classes))
    return output.features.shape[1], num_classes
