"""Losses of Adversarial Network Compression (Belagiannis et al. 2018, here ANC).

The discriminator's output is a logit: ``D(f) = sigmoid(logit)`` is the probability that the features f come from the
teacher.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.precision import at_least_float32


def anc_discriminator_objective(teacher_scores: Tensor, student_scores: Tensor) -> Tensor:
    """``L_Adv = E log D(f_t) + E log(1 - D(f_s))``, which the discriminator maximizes (ANC, equation 2).

    Args:
        teacher_scores: logits of the teacher's features, float (N,).
        student_scores: logits of the student's features, float (N,).

    Returns:
        Scalar, at most 0.

    Example:
        >>> anc_discriminator_objective(torch.zeros(3), torch.zeros(3))  # -2 log 2
        tensor(-1.3863)
    """
    return F.logsigmoid(teacher_scores).mean() + F.logsigmoid(-student_scores).mean()


def anc_student_loss(student_scores: Tensor) -> Tensor:
    """Adversarial loss of the student, ``-E log D(f_s)`` (ANC, section 3.3).

    Args:
        student_scores: logits of the student's features, float (N,).

    Example:
        >>> anc_student_loss(torch.zeros(3))
        tensor(0.6931)
    """
    return -F.logsigmoid(student_scores).mean()


class DiscriminatorRegularizer(nn.Module, ABC):
    """Base class of regularizers of the feature discriminator, ``L_regul(D)`` in ANC, equation 8."""

    @abstractmethod
    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return the scalar that the discriminator maximizes in addition to ``L_Adv``.

        Args:
            discriminator: network to regularize.
            student_scores: logits of the student's features without dropout, float (N,), with gradients.
        """


class NoRegularizer(DiscriminatorRegularizer):
    """No regularization, an ablation in ANC.

    Example:
        >>> NoRegularizer()(nn.Linear(2, 1), torch.zeros(3))
        tensor(0.)
    """

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return 0."""
        return student_scores.new_zeros(())


class _WeightRegularizer(DiscriminatorRegularizer, ABC):
    """``-mu * sum norm(w)`` over all parameters; negative because the discriminator maximizes it."""

    norm: ClassVar[Callable[[Tensor], Tensor]]

    def __init__(self, mu: float = 0.99) -> None:
        super().__init__()
        if mu < 0:
            raise ConfigurationError(f"mu: got {mu}, expected a value >= 0")
        self.mu = mu

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return the negative penalty of the discriminator's parameters."""
        weights = map(at_least_float32, discriminator.parameters())
        return -self.mu * torch.stack([type(self).norm(weight).sum() for weight in weights]).sum()


class L1Regularizer(_WeightRegularizer):
    """L1 penalty of the discriminator's weights, ``-mu * sum |w|`` (ANC, equation 6).

    Args:
        mu: factor of the penalty, not negative (default: 0.99, as in the paper).

    Example:
        >>> discriminator = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.constant_(discriminator.weight, -3.0)
        >>> L1Regularizer(mu=0.5)(discriminator, torch.zeros(4)).item()
        -3.0
    """

    norm = torch.abs


class L2Regularizer(_WeightRegularizer):
    """L2 penalty of the discriminator's weights, ``-mu * sum w^2`` (ANC, equation 5).

    Args:
        mu: factor of the penalty, not negative (default: 0.99, as in the paper).

    Example:
        >>> discriminator = nn.Linear(2, 1)
        >>> for parameter in discriminator.parameters():
        ...     _ = nn.init.constant_(parameter, 2.0)
        >>> L2Regularizer(mu=0.5)(discriminator, torch.zeros(4)).item()
        -6.0
    """

    norm = torch.square


class InvertedLabelRegularizer(DiscriminatorRegularizer):
    """Regularizer ``E log D(f_s)``: the student's features with the teacher's label (ANC, equation 7).

    This is the paper's choice. The discriminator's optimum for the student's features is then a probability of 1/2.
    No dropout is applied to the features here, only in the student step (section 3.3).

    Example:
        >>> InvertedLabelRegularizer()(nn.Linear(2, 1), torch.zeros(3))
        tensor(-0.6931)
    """

    def forward(self, discriminator: nn.Module, student_scores: Tensor) -> Tensor:
        """Return the mean of ``log D(f_s)``."""
        return F.logsigmoid(student_scores).mean()
