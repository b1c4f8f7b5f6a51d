"""Feature extractors from a short specification, for command lines and configurations."""

from __future__ import annotations

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.io.network_reference import is_reference
from ganmc_lightning.metrics.extractors.base import FeatureExtractor
from ganmc_lightning.metrics.extractors.classifier import ClassifierExtractor
from ganmc_lightning.metrics.extractors.inception import InceptionV3Extractor
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Discriminator, Generator
from ganmc_lightning.networks.checkpoints import read_checkpoint, submodule_names
from ganmc_lightning.networks.loading import load_network
from ganmc_lightning.networks.weight_files import file_format

CLASSIFIER_SUBMODULES = ("network", "student")
"""Names of the classifier in checkpoints of a teacher and of a student."""

SPECS = (
    "'inception', 'inception:WEIGHTS.pth', 'classifier:CHECKPOINT', 'classifier:CHECKPOINT:LAYER' or "
    "'classifier:REFERENCE', such as 'classifier:timm:resnet18:weights.pt'"
)


def make_extractor(
    spec: str, sample_shape: tuple[int, ...] | None = None, image_size: int | None = None
) -> FeatureExtractor:
    """Create a feature extractor from its specification.

    Args:
        spec: ``inception``, ``inception:WEIGHTS.pth``, ``classifier:CHECKPOINT`` (a trained teacher or student, or
            its ``.safetensors`` file), ``classifier:CHECKPOINT:LAYER``, or ``classifier:REFERENCE``, a classifier of
            another library as in :func:`~ganmc_lightning.networks.load_network`.
        sample_shape: shape of one sample, with which a classifier is validated; required with a layer.
        image_size: height and width to which images are resized for a reference, such as 224 for most networks trained
            on ImageNet (default: not resized).

    Raises:
        ConfigurationError: the specification or a file is invalid, the network does not accept the samples, or
            ``image_size`` is given without a reference.
    """
    kind, _, path = spec.partition(":")
    by_reference = kind == "classifier" and is_reference(path)
    if image_size is not None and not by_reference:
        raise ConfigurationError(f"extractor size: got {image_size} for '{spec}', expected 'classifier:REFERENCE'")
    if kind == "inception":
        return InceptionV3Extractor(path or None)
    if kind != "classifier" or not path:
        raise ConfigurationError(f"extractor: got '{spec}', expected {SPECS}")
    if by_reference:
        return ClassifierExtractor(load_network(path, image_size=image_size), None, sample_shape, name=path)
    checkpoint, layer = split_checkpoint_path(path)
    return ClassifierExtractor(load_classifier(checkpoint), layer, sample_shape)


def load_classifier(path: str) -> nn.Module:
    """Load the classifier of a teacher's or student's checkpoint, of a ``.safetensors`` file, or of a reference.

    Raises:
        ConfigurationError: the file has no classifier.
    """
    if is_reference(path):
        return load_network(path)
    if file_format(path) == "safetensors":
        network = load_network(path)
        if isinstance(network, Generator | Discriminator | ClassConditionalDiscriminator):
            raise ConfigurationError(f"{path}: got a {type(network).__name__}, expected a classifier")
        return network
    names = submodule_names(read_checkpoint(path))
    for name in CLASSIFIER_SUBMODULES:
        if name in names:
            return load_network(path, name)
    raise ConfigurationError(
        f"{path}: got the submodules {', '.join(sorted(names))}, expected a classifier "
        f"({' or '.join(CLASSIFIER_SUBMODULES)})"
    )
