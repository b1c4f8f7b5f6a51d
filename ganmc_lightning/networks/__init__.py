"""Networks that know nothing of training: classifiers by family, and the two players of each GAN."""

from __future__ import annotations

from ganmc_lightning.networks.acgan import ACGANDiscriminator, ACGANGenerator
from ganmc_lightning.networks.allowed import allow_import
from ganmc_lightning.networks.base import ClassifyingDiscriminator, Discriminator, Generator
from ganmc_lightning.networks.checkpoint import (
    critic_of_checkpoint,
    discriminator_of_checkpoint,
    generator_of_checkpoint,
    part_of_checkpoint,
)
from ganmc_lightning.networks.cnn import FiveLayerCNN
from ganmc_lightning.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganmc_lightning.networks.feature_discriminator import (
    ConvFeatureDiscriminator,
    FeatureDiscriminator,
    FixedProjection,
)
from ganmc_lightning.networks.features import FeaturesOf, ReturnsFeatures, logits_and_features
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.lenet import LeNet, LeNet4
from ganmc_lightning.networks.mlp import MLP
from ganmc_lightning.networks.nin import NIN
from ganmc_lightning.networks.normalize import Normalize
from ganmc_lightning.networks.preact_resnet import PreActResNet
from ganmc_lightning.networks.resnet import CIFARResNet, ResNet18
from ganmc_lightning.networks.tabular import TabularDiscriminator, TabularGenerator
from ganmc_lightning.networks.wide_resnet import WideResNet

__all__ = [
    "MLP",
    "NIN",
    "ACGANDiscriminator",
    "ACGANGenerator",
    "CIFARResNet",
    "ClassifyingDiscriminator",
    "ConvFeatureDiscriminator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "FeatureDiscriminator",
    "FeaturesOf",
    "FiveLayerCNN",
    "FixedProjection",
    "Frozen",
    "Generator",
    "LeNet",
    "LeNet4",
    "Normalize",
    "PreActResNet",
    "ResNet18",
    "ReturnsFeatures",
    "TabularDiscriminator",
    "TabularGenerator",
    "WideResNet",
    "allow_import",
    "critic_of_checkpoint",
    "discriminator_of_checkpoint",
    "generator_of_checkpoint",
    "logits_and_features",
    "part_of_checkpoint",
]
