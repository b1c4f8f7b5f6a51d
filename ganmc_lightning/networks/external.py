"""Load classifiers that were not trained by this package, with their own preprocessing and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.network_reference import LIBRARIES, NetworkReference, parse_reference
from ganmc_lightning.networks.building import build_network
from ganmc_lightning.networks.exported import load_exported
from ganmc_lightning.networks.libraries import (
    Preprocessing,
    arguments_of_weights,
    library_preprocessing,
    load_from_library,
)
from ganmc_lightning.networks.matching import load_weights
from ganmc_lightning.networks.pretrained import Outputs, PretrainedClassifier
from ganmc_lightning.networks.training_data import get_training_data, set_training_data
from ganmc_lightning.networks.weight_files import file_format, find_state_dict, read_weights


class ClassifierOptions(NamedTuple):
    """Arguments of :func:`~ganmc_lightning.networks.load_network` that describe a classifier; None is unknown."""

    num_classes: int | None = None
    arguments: Mapping[str, Any] | None = None
    trust: bool = False
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    image_size: int | None = None
    outputs: Outputs = "logits"
    class_names: Sequence[str] | None = None


def load_by_reference(path: str, options: ClassifierOptions) -> nn.Module:
    """Load the network of a reference with the weights of its file, or without one those of its library or own code.

    Raises:
        ConfigurationError: see :func:`~ganmc_lightning.networks.load_network`.
    """
    reference = parse_reference(path)
    if reference.library in LIBRARIES and "num_classes" in (options.arguments or {}):
        raise ConfigurationError(f"{path}: got num_classes in arguments, expected it as an argument of load_network")
    with torch.random.fork_rng(devices=()):  # initial weights of other networks must not depend on loading one
        network, known = _build(reference, options)
    if reference.weights is not None:
        target = network.network if isinstance(network, PretrainedClassifier) else network
        load_weights(target, find_state_dict(read_weights(reference.weights, options.trust), path), path)
    wrapped = _wrap(network, known, options, path)
    if options.mean is None and known.mean is not None:
        wrapped.statistics_source = reference.library
    return describe_classes(wrapped, known, options, path)


def load_file(path: str, content: Any, network: nn.Module | None, options: ClassifierOptions) -> nn.Module:
    """Load a file with weights, an exported network, or a pickled one.

    Args:
        path: the file.
        content: result of :func:`~.weight_files.read_weights`; None for an exported network.
        network: network of the weights; None for an exported or pickled network.
        options: description of the classifier.

    Raises:
        ConfigurationError: see :func:`~ganmc_lightning.networks.load_network`.
    """
    known = Preprocessing()
    if options.arguments:
        raise ConfigurationError(f"{path}: got arguments {dict(options.arguments)}, expected none without a reference")
    if content is None:
        if network is not None:
            raise ConfigurationError(f"{path}: got a network for an exported network, which contains its own")
        network, shape, classes, names, outputs = load_exported(path, options.trust)
        if outputs != "logits":
            options = options._replace(outputs=outputs)
        square = len(shape) == 3 and shape[1] == shape[2]  # other images cannot be resized to image_size
        known = Preprocessing(input_shape=shape, fixed_size=square, num_classes=classes, class_names=names)
    elif network is not None:
        load_weights(network, find_state_dict(content, path), path)
    elif isinstance(content, nn.Module):
        network = content.float()  # saved weights may be half precision
    else:
        weights = find_state_dict(content, path)
        raise ConfigurationError(
            f"{path}: contains {len(weights)} weights ({next(iter(weights), 'none')}, ...) without their network; pass "
            f"the network, or use a reference such as 'timm:resnet18:{path}' or 'MODULE:FACTORY:{path}'"
        )
    return describe_classes(_wrap(network, known, options, path), known, options, path)


def read_external(path: str, trust: bool) -> Any:
    """Return the contents of a file of weights; None for an exported network, which is read by :func:`load_file`."""
    return None if file_format(path) == "exported" else read_weights(path, trust)


def reference_preprocessing(reference: NetworkReference, options: ClassifierOptions) -> Preprocessing:
    """Return what is known of the network of a reference without building it."""
    if reference.library not in LIBRARIES:
        return Preprocessing()
    return library_preprocessing(reference, options.arguments or {})


def wrapper_arguments(known: Preprocessing, options: ClassifierOptions, path: str) -> dict[str, Any]:
    """Return the arguments of the :class:`PretrainedClassifier` around a network, besides the network.

    Raises:
        ConfigurationError: the image size contradicts the only one that the network accepts.
    """
    given = options.mean is not None or options.std is not None
    mean, std = (options.mean, options.std) if given else (known.mean, known.std)
    fixed = known.input_shape[1] if known.fixed_size else None
    if None not in (fixed, options.image_size) and fixed != options.image_size:
        raise ConfigurationError(
            f"{path}: got image_size {options.image_size}, expected {fixed}, the only size that the network accepts; "
            "images of other sizes are resized to it"
        )
    return {
        "mean": None if mean is None else list(mean),
        "std": None if std is None else list(std),
        "image_size": options.image_size or fixed,
        "resize": options.image_size is not None,
        "outputs": options.outputs,
    }


def describe_classes(network: nn.Module, known: Preprocessing, options: ClassifierOptions, path: str) -> nn.Module:
    """Attach the shape of the inputs and the classes to a network, as far as they are known.

    Raises:
        ConfigurationError: number or names of the classes contradict each other.
    """
    given = None if options.class_names is None else tuple(map(str, options.class_names))
    spec = get_training_data(network)
    if spec is not None:
        known = Preprocessing(input_shape=spec.sample_shape, num_classes=spec.num_classes, class_names=spec.class_names)
        if given and spec.class_names and given != spec.class_names:
            raise ConfigurationError(
                f"{path}: got class_names {', '.join(given)}, expected {', '.join(spec.class_names)} as in its "
                "training data; remove class_names"
            )
        if options.num_classes not in (None, spec.num_classes):
            raise ConfigurationError(
                f"{path}: got num_classes {options.num_classes}, expected {spec.num_classes} as in its training data"
            )
    num_classes = options.num_classes or known.num_classes or len(given or ())
    names = known.class_names if given is None else given
    if given and len(given) != num_classes:
        raise ConfigurationError(
            f"{path}: got {len(given)} class_names, expected {num_classes}, the number of classes of the network"
        )
    if len(names) != num_classes:  # names of the pretrained weights, for a network with other classes
        names = ()
    if spec is not None:
        set_training_data(network, spec._replace(class_names=names))
    elif num_classes:
        size = options.image_size
        shape = (known.input_shape[0] if known.input_shape else 3, size, size) if size else known.input_shape
        set_training_data(network, DataSpec(shape or (0,), num_classes, names))
    return network


def _build(reference: NetworkReference, options: ClassifierOptions) -> tuple[nn.Module, Preprocessing]:
    known = reference_preprocessing(reference, options)
    arguments = arguments_of_weights(reference, options.arguments or {})
    if reference.library not in LIBRARIES or reference.weights is not None:
        bare = str(reference._replace(weights=None))
        return build_network(bare, num_classes=options.num_classes, arguments=arguments), known
    if options.num_classes not in (None, known.num_classes):
        raise ConfigurationError(
            f"{reference}: got num_classes {options.num_classes}, expected {known.num_classes} as in its pretrained "
            f"weights; pass the file of weights with {options.num_classes} classes: {reference}:WEIGHTS_FILE"
        )
    network = load_from_library(reference, arguments)
    return (PretrainedClassifier(network) if reference.library == "hf" else network), known


def _wrap(network: nn.Module, known: Preprocessing, options: ClassifierOptions, path: str) -> PretrainedClassifier:
    wrapped = PretrainedClassifier(network, **wrapper_arguments(known, options, path)).eval()
    wrapped.statistics_source = "default" if options.mean is None else ""
    return wrapped
