"""Large classifiers into small trees, with synthetic rows (GAN-MC, section 4): scikit-learn estimators.

PyTorch is loaded when synthetic rows are drawn from a synthesizer of this package, and not before.
"""

from ganmc_lightning.tabular.checkpoint import classifier_of_checkpoint, load_synthesizer
from ganmc_lightning.tabular.compressor import ForestCompressor
from ganmc_lightning.tabular.profiling import Compression, Cost
from ganmc_lightning.tabular.student import StudentClassifier

__all__ = [
    "Compression",
    "Cost",
    "ForestCompressor",
    "StudentClassifier",
    "classifier_of_checkpoint",
    "load_synthesizer",
]
