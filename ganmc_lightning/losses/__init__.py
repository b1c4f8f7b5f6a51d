"""Losses: pure functions that name their equation, and one small module each to hold settings."""

from ganmc_lightning.losses.acgan import (
    ACGANLoss,
    HingeACGANLoss,
    MinimaxACGANLoss,
    NonSaturatingACGANLoss,
)
from ganmc_lightning.losses.classification import label_cross_entropy
from ganmc_lightning.losses.distillation import (
    DistillationLoss,
    KnowledgeDistillationLoss,
    L2LogitsLoss,
    l2_logits_loss,
    soft_cross_entropy,
)

__all__ = [
    "ACGANLoss",
    "DistillationLoss",
    "HingeACGANLoss",
    "KnowledgeDistillationLoss",
    "L2LogitsLoss",
    "MinimaxACGANLoss",
    "NonSaturatingACGANLoss",
    "l2_logits_loss",
    "label_cross_entropy",
    "soft_cross_entropy",
]
