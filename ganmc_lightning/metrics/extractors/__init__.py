"""Networks whose features and logits the metrics of generators read."""

from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.extractors.classifier import ClassifierExtractor
from ganmc_lightning.metrics.extractors.inception import InceptionV3Extractor
from ganmc_lightning.metrics.extractors.spec import classifier_of_checkpoint, extractor_of

__all__ = [
    "ClassifierExtractor",
    "FeatureExtractor",
    "Features",
    "InceptionV3Extractor",
    "classifier_of_checkpoint",
    "extractor_of",
]
