"""Feature extractors from a short specification, for command lines and configurations."""

from __future__ import annotations

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.metrics.extractors.base import FeatureExtractor
from ganmc_lightning.metrics.extractors.classifier import ClassifierExtractor
from ganmc_lightning.metrics.extractors.inception import InceptionV3Extractor
from ganmc_lightning.networks.checkpoints import read_checkpoint, submodule_names
from ganmc_lightning.networks.loading import load_network

CLASSIFIER_SUBMODULES = ("network", "student")
"""Names of the classifier in checkpoints of a teacher and of a student."""

SPECS = "'inception', 'inception:WEIGHTS.pth', 'classifier:CHECKPOINT' or 'classifier:CHECKPOINT:LAYER'"


def make_extractor(spec: str, sample_shape: tuple[int, ...] | None = None) -> FeatureExtractor:
    """Create a feature extractor from its specification.

    Args:
        spec: ``inception``, ``inception:WEIGHTS.pth``, ``classifier:CHECKPOINT`` (a trained teacher or student) or
            ``classifier:CHECKPOINT:LAYER``.
        sample_shape: shape of one sample, with which a classifier is validated; required with a layer.

    Raises:
        ConfigurationError: the specification or a file is invalid, or the network does not accept the samples.
    """
    kind, _, path = spec.partition(":")
    if kind == "inception":
        return InceptionV3Extractor(path or None)
    if kind != "classifier" or not path:
        raise ConfigurationError(f"extractor: got '{spec}', expected {SPECS}")
    checkpoint, layer = split_checkpoint_path(path)
    return ClassifierExtractor(load_classifier(checkpoint), layer, sample_shape)


def load_classifier(path: str) -> nn.Module:
    """Load the classifier of a teacher's or student's checkpoint.

    Raises:
        ConfigurationError: the checkpoint has no classifier.
    """
    names = submodule_names(read_checkpoint(path))
    for name in CLASSIFIER_SUBMODULES:
        if name in names:
            return load_network(path, name)
    raise ConfigurationError(
        f"{path}: got the submodules {', '.join(sorted(names))}, expected a classifier "
        f"({' or '.join(CLASSIFIER_SUBMODULES)})"
    )
