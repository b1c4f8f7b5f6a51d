"""Large classifiers into small trees, with synthetic rows (GAN-MC, section 4): scikit-learn estimators.

PyTorch is loaded when synthetic rows are drawn from a synthesizer of this package, and not before.
"""

from ganmc_lightning.forests.checkpoint import classifier_of_checkpoint, synthesizer_of_checkpoint
from ganmc_lightning.forests.compressor import ForestCompressor
from ganmc_lightning.forests.cost import Compression, Cost
from ganmc_lightning.forests.student import StudentClassifier

__all__ = [
    "Compression",
    "Cost",
    "ForestCompressor",
    "StudentClassifier",
    "classifier_of_checkpoint",
    "synthesizer_of_checkpoint",
]
