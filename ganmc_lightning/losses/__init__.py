"""Losses: pure functions with the number of their equation, and modules that contain their settings."""

from ganmc_lightning.losses.acgan import ACGANLoss, ACGANParts
from ganmc_lightning.losses.anc import (
    DiscriminatorRegularizer,
    InvertedLabelRegularizer,
    L1Regularizer,
    L2Regularizer,
    NoRegularizer,
    anc_discriminator_objective,
    anc_student_loss,
)
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.decoupled import (
    DecoupledDistillationParts,
    DecoupledKnowledgeDistillationLoss,
    decoupled_divergences,
)
from ganmc_lightning.losses.distillation import (
    DistillationLoss,
    KnowledgeDistillationLoss,
    KnowledgeDistillationParts,
    L2LogitsLoss,
    l2_logits_loss,
    soft_cross_entropy,
    standardize_logits,
)
from ganmc_lightning.losses.features import (
    FeatureLoss,
    FSPLoss,
    HintLoss,
    fsp_loss,
    fsp_matrix,
    hint_loss,
    make_regressor,
)
from ganmc_lightning.losses.gan import (
    GANLoss,
    HingeGANLoss,
    MinimaxGANLoss,
    NonSaturatingGANLoss,
    WassersteinGANLoss,
    WassersteinGPLoss,
    wasserstein,
)
from ganmc_lightning.losses.generator_distillation import (
    GeneratorDistillationLoss,
    GeneratorDistillationParts,
    ImageLoss,
    PerceptualLoss,
    PixelMSELoss,
    WeightedSumLoss,
    squared_distance,
)
from ganmc_lightning.losses.gradient_penalty import gradient_penalty, r1_penalty
from ganmc_lightning.losses.parts import LossParts, TotalLoss, loss_columns

__all__ = [
    "ACGANLoss",
    "ACGANParts",
    "DecoupledDistillationParts",
    "DecoupledKnowledgeDistillationLoss",
    "DiscriminatorRegularizer",
    "DistillationLoss",
    "FSPLoss",
    "FeatureLoss",
    "GANLoss",
    "GeneratorDistillationLoss",
    "GeneratorDistillationParts",
    "HingeGANLoss",
    "HintLoss",
    "ImageLoss",
    "InvertedLabelRegularizer",
    "KnowledgeDistillationLoss",
    "KnowledgeDistillationParts",
    "L1Regularizer",
    "L2LogitsLoss",
    "L2Regularizer",
    "LossParts",
    "MinimaxGANLoss",
    "NoRegularizer",
    "NonSaturatingGANLoss",
    "PerceptualLoss",
    "PixelMSELoss",
    "TotalLoss",
    "WassersteinGANLoss",
    "WassersteinGPLoss",
    "WeightedSumLoss",
    "anc_discriminator_objective",
    "anc_student_loss",
    "decoupled_divergences",
    "fsp_loss",
    "fsp_matrix",
    "gradient_penalty",
    "hard_cross_entropy",
    "hint_loss",
    "l2_logits_loss",
    "loss_columns",
    "make_regressor",
    "r1_penalty",
    "soft_cross_entropy",
    "squared_distance",
    "standardize_logits",
    "wasserstein",
]
