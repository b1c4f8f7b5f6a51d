"""LightningModules, one training method per file."""

from ganmc_lightning.modules.acgan import ACGANModule
from ganmc_lightning.modules.adversarial_compression import AdversarialCompressionModule
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.modules.classifier import ClassifierModule
from ganmc_lightning.modules.distillation import DistillationModule
from ganmc_lightning.modules.gan import GANModule
from ganmc_lightning.modules.gan_compression import GANCompressionModule

__all__ = [
    "ACGANModule",
    "AdversarialCompressionModule",
    "ClassifierModule",
    "CompressionModule",
    "DistillationModule",
    "GANCompressionModule",
    "GANModule",
]
