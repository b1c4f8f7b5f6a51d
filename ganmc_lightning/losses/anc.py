"""The game of Adversarial Network Compression (Belagiannis et al. 2018, ANC) between a student and a discriminator.

A verdict is the discriminator's logit: ``D(f) = sigmoid(verdict)`` is the probability it gives to the teacher. All
logarithms of ``D`` and ``1 - D`` are taken from logits, so that none of them overflows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.precision import at_least_float32


def anc_discriminator_objective(teacher_scores: Tensor, student_scores: Tensor) -> Tensor:
    """``L_Adv = E log D(f_t) + E log(1 - D(f_s))`` (ANC, equation 2), which the discriminator maximises.

    Args:
        teacher_scores: logits (N,) for features of the teacher.
        student_scores: logits (N,) for features of the student.

    Returns:
        Scalar, at most 0; ``-2 log 2`` where the discriminator is undecided.

    Example:
        >>> anc_discriminator_objective(torch.zeros(3), torch.zeros(3))
        tensor(-1.3863)
    """
    return F.logsigmoid(teacher_scores).mean() + F.logsigmoid(-student_scores).mean()


def anc_student_loss(student_scores: Tensor) -> Tensor:
    """``-E log D(f_s)``: the student minimises it with the label "teacher" on its features (ANC, section 3.3).

    Args:
        student_scores: logits (N,).
    """
    return -F.logsigmoid(student_scores).mean()


def l1_regularization(discriminator: nn.Module, mu: float) -> Tensor:
    """``-mu * sum |w|`` over all parameters (ANC, equation 6); the sign is that of a maximisation."""
    weights = map(at_least_float32, discriminator.parameters())
    return -mu * torch.stack([weight.abs().sum() for weight in weights]).sum()


def l2_regularization(discriminator: nn.Module, mu: float) -> Tensor:
    """``-mu * sum w^2`` over all parameters (ANC, equation 5); the sign is that of a maximisation."""
    weights = map(at_least_float32, discriminator.parameters())
    return -mu * torch.stack([weight.square().sum() for weight in weights]).sum()


class DiscriminatorRegularizer(nn.Module, ABC):
    """What keeps a discriminator of features from winning early: ``L_regul(D)`` of ANC, equation 8."""

    @abstractmethod
    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return the scalar that the discriminator maximises beside ``L_Adv``.

        Args:
            discriminator: whose weights may be held small.
            student_scores: its logits (N,) for the student's features, without dropout, with gradients.
        """


class NoRegularizer(DiscriminatorRegularizer):
    """Nothing: the game the paper says is lost to the discriminator."""

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return 0."""
        return student_scores.new_zeros(())


class L1Regularizer(DiscriminatorRegularizer):
    """Small absolute weights (ANC, equation 6).

    Args:
        mu: weight; 0.99 in the paper.

    Raises:
        ConfigurationError: ``mu`` is negative.
    """

    def __init__(self, mu: float = 0.99) -> None:
        super().__init__()
        self.mu = _check_mu(mu)

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return :func:`l1_regularization`."""
        return l1_regularization(discriminator, self.mu)


class L2Regularizer(DiscriminatorRegularizer):
    """Small squared weights (ANC, equation 5).

    Args:
        mu: weight; 0.99 in the paper.

    Raises:
        ConfigurationError: ``mu`` is negative.
    """

    def __init__(self, mu: float = 0.99) -> None:
        super().__init__()
        self.mu = _check_mu(mu)

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return :func:`l2_regularization`."""
        return l2_regularization(discriminator, self.mu)


class InvertedLabelRegularizer(DiscriminatorRegularizer):
    """``+ E log D(f_s)``: the discriminator also learns the student's features as the teacher's (ANC, equation 7).

    The paper's choice. The discriminator is then best advised to stay undecided about the student. The features are
    those it has judged already, without dropout, which acts in the student's update alone (section 3.3).
    """

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return the mean of ``log D(f_s)``."""
        return F.logsigmoid(student_scores).mean()


def _check_mu(mu: float) -> float:
    if mu < 0:
        raise ConfigurationError(f"mu must not be negative, got {mu}")
    return mu
