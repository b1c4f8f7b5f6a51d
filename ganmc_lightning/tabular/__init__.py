"""Compression of classifiers of tabular data into small trees (GAN-MC section 4): scikit-learn estimators.

PyTorch is imported when a synthesizer samples, not with this package.
"""

from ganmc_lightning.tabular.checkpoint import load_synthesizer, load_tabular_classifier
from ganmc_lightning.tabular.compressor import ForestCompressor
from ganmc_lightning.tabular.profiling import CompressionProfile, ModelProfile
from ganmc_lightning.tabular.student import StudentClassifier

__all__ = [
    "CompressionProfile",
    "ForestCompressor",
    "ModelProfile",
    "StudentClassifier",
    "load_synthesizer",
    "load_tabular_classifier",
]
