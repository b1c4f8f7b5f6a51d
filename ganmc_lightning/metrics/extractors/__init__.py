"""Feature extractors for the metrics of generated samples."""

from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.extractors.classifier import ClassifierExtractor
from ganmc_lightning.metrics.extractors.factory import load_classifier, make_extractor
from ganmc_lightning.metrics.extractors.inception import InceptionV3Extractor

__all__ = [
    "ClassifierExtractor",
    "FeatureExtractor",
    "Features",
    "InceptionV3Extractor",
    "load_classifier",
    "make_extractor",
]
