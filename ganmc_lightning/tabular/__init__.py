"""Distillation of models of tabular data into small students (GAN-MC section 4): scikit-learn estimators.

PyTorch is imported when a synthesizer samples, not with this package.
"""

from ganmc_lightning.tabular.checkpoint import load_synthesizer, load_tabular_classifier
from ganmc_lightning.tabular.distilled import DistilledClassifier, DistilledRegressor
from ganmc_lightning.tabular.profiling import CompressionProfile, ModelProfile
from ganmc_lightning.tabular.selection import StudentCandidate
from ganmc_lightning.tabular.student import StudentClassifier

__all__ = [
    "CompressionProfile",
    "DistilledClassifier",
    "DistilledRegressor",
    "ModelProfile",
    "StudentCandidate",
    "StudentClassifier",
    "load_synthesizer",
    "load_tabular_classifier",
]
