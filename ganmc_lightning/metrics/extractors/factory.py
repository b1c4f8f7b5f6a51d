"""Extractors by a short text, for command lines."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor
from ganmc_lightning.metrics.extractors.classifier import ClassifierExtractor
from ganmc_lightning.metrics.extractors.inception import InceptionV3Extractor
from ganmc_lightning.networks.loading import load_network, parts_of, read_checkpoint

CLASSIFIER_PARTS = ("network", "student")
"""Names of the classifier in the checkpoints of a teacher and of a student."""

FORMS = "'inception', 'inception:WEIGHTS.pth', 'classifier:CHECKPOINT' or 'classifier:CHECKPOINT:LAYER'"


def make_extractor(spec: str, sample_shape: tuple[int, ...] | None = None) -> FeatureExtractor:
    """Make the extractor that a text names.

    Args:
        spec: ``inception``, ``inception:WEIGHTS.pth``, ``classifier:CHECKPOINT`` (a trained teacher or student) or
            ``classifier:CHECKPOINT:LAYER``.
        sample_shape: shape of one sample, to try a classifier on; needed with a layer.

    Raises:
        ConfigurationError: another text, a file that is missing or of another kind, a network that does not fit.
    """
    kind, _, rest = spec.partition(":")
    if kind == "inception":
        return InceptionV3Extractor(rest or None)
    if kind != "classifier" or not rest:
        raise ConfigurationError(f"extractor '{spec}' is unknown: give {FORMS}")
    path, layer = rest, None
    if not Path(rest).is_file() and ":" in rest:
        path, _, layer = rest.rpartition(":")
    return ClassifierExtractor(load_classifier(path), layer, sample_shape)


def load_classifier(path: str) -> nn.Module:
    """The classifier in a checkpoint of a teacher or of a student.

    Raises:
        ConfigurationError: there is none.
    """
    parts = parts_of(read_checkpoint(path))
    for part in CLASSIFIER_PARTS:
        if part in parts:
            return load_network(path, part)
    raise ConfigurationError(
        f"{path} holds no classifier ({' or '.join(CLASSIFIER_PARTS)}), but {', '.join(sorted(parts))}"
    )
