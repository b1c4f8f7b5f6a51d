"""Networks: classifiers by family, generators and discriminators, and loading from checkpoints."""

from __future__ import annotations

from ganmc_lightning.networks.acgan import ACGANDiscriminator, ACGANGenerator
from ganmc_lightning.networks.allowed import allow_import
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Discriminator, Generator
from ganmc_lightning.networks.building import build_network
from ganmc_lightning.networks.cnn import FiveLayerCNN
from ganmc_lightning.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganmc_lightning.networks.feature_discriminator import ConvFeatureDiscriminator, FeatureDiscriminator
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.intermediate import IntermediateLayer, SupportsForwardFeatures, forward_with_features
from ganmc_lightning.networks.lenet import LeNet, LeNet4
from ganmc_lightning.networks.loading import (
    load_acgan_discriminator,
    load_discriminator,
    load_generator,
    load_network,
)
from ganmc_lightning.networks.mlp import MLPClassifier
from ganmc_lightning.networks.nin import NIN
from ganmc_lightning.networks.normalize import Normalize, NormalizedInput, SubtractMeanImage
from ganmc_lightning.networks.preact_resnet import PreActResNet
from ganmc_lightning.networks.pretrained import PretrainedClassifier
from ganmc_lightning.networks.proposal import StudentProposal, propose_student
from ganmc_lightning.networks.resnet import CIFARResNet, ResNet18
from ganmc_lightning.networks.tabular import TabularDiscriminator, TabularGenerator
from ganmc_lightning.networks.wide_resnet import WideResNet

__all__ = [
    "NIN",
    "ACGANDiscriminator",
    "ACGANGenerator",
    "CIFARResNet",
    "ClassConditionalDiscriminator",
    "ConvFeatureDiscriminator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "FeatureDiscriminator",
    "FiveLayerCNN",
    "Frozen",
    "Generator",
    "IntermediateLayer",
    "LeNet",
    "LeNet4",
    "MLPClassifier",
    "Normalize",
    "NormalizedInput",
    "PreActResNet",
    "PretrainedClassifier",
    "ResNet18",
    "StudentProposal",
    "SubtractMeanImage",
    "SupportsForwardFeatures",
    "TabularDiscriminator",
    "TabularGenerator",
    "WideResNet",
    "allow_import",
    "build_network",
    "forward_with_features",
    "load_acgan_discriminator",
    "load_discriminator",
    "load_generator",
    "load_network",
    "propose_student",
]
