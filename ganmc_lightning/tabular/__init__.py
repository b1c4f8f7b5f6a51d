"""Distillation of models of tabular data into small students (GAN-MC section 4): scikit-learn estimators.

PyTorch is imported when a synthesizer samples, not with this package.
"""

from ganmc_lightning.tabular.checkpoint import load_synthesizer, load_tabular_classifier
from ganmc_lightning.tabular.compress import Compression, compress_table
from ganmc_lightning.tabular.compress_files import write_compression
from ganmc_lightning.tabular.distilled import DistilledClassifier, DistilledRegressor
from ganmc_lightning.tabular.profiling import CompressionProfile, ModelProfile
from ganmc_lightning.tabular.selection import StudentCandidate
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.teacher_files import load_teacher

__all__ = [
    "Compression",
    "CompressionProfile",
    "DistilledClassifier",
    "DistilledRegressor",
    "ModelProfile",
    "StudentCandidate",
    "StudentClassifier",
    "compress_table",
    "load_synthesizer",
    "load_tabular_classifier",
    "load_teacher",
    "write_compression",
]
