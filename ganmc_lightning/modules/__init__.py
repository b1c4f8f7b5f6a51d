"""LightningModules, one training procedure a file."""

from ganmc_lightning.modules.acgan import ACGANModule
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.modules.classifier import ClassifierModule
from ganmc_lightning.modules.distillation import DistillationModule

__all__ = ["ACGANModule", "ClassifierModule", "CompressionModule", "DistillationModule"]
