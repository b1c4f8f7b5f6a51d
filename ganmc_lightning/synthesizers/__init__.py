"""Synthesizers: generators, stored samples, and baselines without a GAN."""

from ganmc_lightning.synthesizers.adversarial_forest import AdversarialForestSynthesizer
from ganmc_lightning.synthesizers.base import Synthesizer
from ganmc_lightning.synthesizers.filtered import FilteredSynthesizer
from ganmc_lightning.synthesizers.generator import GeneratorSynthesizer
from ganmc_lightning.synthesizers.jitter import JitterSynthesizer
from ganmc_lightning.synthesizers.mixup import MixupSynthesizer
from ganmc_lightning.synthesizers.munge import MungeSynthesizer
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer
from ganmc_lightning.synthesizers.smote import SmoteSynthesizer
from ganmc_lightning.synthesizers.stored import StoredSynthesizer

__all__ = [
    "AdversarialForestSynthesizer",
    "FilteredSynthesizer",
    "GeneratorSynthesizer",
    "JitterSynthesizer",
    "MixupSynthesizer",
    "MungeSynthesizer",
    "PooledSynthesizer",
    "SmoteSynthesizer",
    "StoredSynthesizer",
    "Synthesizer",
]
