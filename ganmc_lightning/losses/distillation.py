"""Distillation losses on logits: L2 (Ba & Caruana 2014) and softened cross-entropy (Hinton et al. 2015)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.parts import LossParts, TotalLoss
from ganmc_lightning.losses.precision import at_least_float32


def l2_logits_loss(student_logits: Tensor, teacher_logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared distance between the logits, ``||g(x) - z||^2`` (GAN-MC, equation 1), averaged over the batch.

    The authors' code has a factor of 1/2, which does not change the updates of Adam.

    Args:
        student_logits: g(x), float (N, K).
        teacher_logits: z, float (N, K).
        weights: sample weights, float (N,); None for equal weights.

    Returns:
        Scalar, float32 or wider.

    Example:
        >>> import torch
        >>> l2_logits_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]))
        tensor(5.)
    """
    losses = (at_least_float32(student_logits) - at_least_float32(teacher_logits)).square().sum(dim=1)
    return losses.mean() if weights is None else (losses * weights).mean()


def soft_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy between ``softmax(z / T)`` and ``softmax(g / T)``, L_T of GAN-MC, section 2.1.

    Args:
        student_logits: g, float (N, K).
        teacher_logits: z, float (N, K).
        temperature: T > 0.
        weights: sample weights, float (N,); None for equal weights.

    Returns:
        Scalar in nats, averaged over the batch, float32 or wider.

    Example:
        >>> import torch
        >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[3.0, 0.0]]), temperature=1.0)
        tensor(0.6931)
    """
    student_logits, teacher_logits = at_least_float32(student_logits), at_least_float32(teacher_logits)
    targets = F.softmax(teacher_logits / temperature, dim=1)
    if weights is not None:
        return (F.cross_entropy(student_logits / temperature, targets, reduction="none") * weights).mean()
    return F.cross_entropy(student_logits / temperature, targets)


def standardize_logits(logits: Tensor) -> Tensor:
    """Z-score of each sample's logits (Sun et al. 2024, "Logit Standardization in Knowledge Distillation").

    This is algorithm 1 without the division by the base temperature, which :func:`soft_cross_entropy` applies. Rows of
    the result have mean 0 and population variance 1, whatever the shift and scale of the logits.

    Args:
        logits: float (N, K).

    Returns:
        Float (N, K), float32 or wider. A constant row becomes 0: 1e-5 is added to the variance.

    Example:
        >>> import torch
        >>> standardize_logits(torch.tensor([[2.0, 0.0], [500.0, 300.0]]))
        tensor([[ 1.0000, -1.0000],
                [ 1.0000, -1.0000]])
    """
    return F.layer_norm(at_least_float32(logits), logits.shape[1:], eps=1e-5)


class DistillationLoss(nn.Module, ABC):
    """Base class of the losses of :class:`~ganmc_lightning.modules.DistillationModule`.

    Attributes:
        takes_weights: whether :meth:`forward` accepts sample weights as fifth argument; if not, weighted data sets are
            rejected.
    """

    takes_weights: ClassVar[bool] = False

    @abstractmethod
    def forward(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, synthetic: Tensor) -> LossParts:
        """Return the loss of a batch as a named tuple: ``total``, then the parts that are logged.

        Args:
            student_logits: float (N, K), with gradients.
            teacher_logits: float (N, K).
            labels: int64 (N,), :data:`~ganmc_lightning.batch.UNKNOWN_LABEL` where unknown.
            synthetic: whether a sample is synthetic, bool (N,).
        """


class L2LogitsLoss(DistillationLoss):
    """Squared distance between the logits (GAN-MC, equation 1); labels are not used.

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]])
        >>> L2LogitsLoss()(student, teacher, torch.tensor([1]), torch.tensor([False])).total
        tensor(5.)
    """

    takes_weights: ClassVar[bool] = True

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        synthetic: Tensor,
        weights: Tensor | None = None,
    ) -> TotalLoss:
        """Return :func:`l2_logits_loss`."""
        return TotalLoss(l2_logits_loss(student_logits, teacher_logits, weights))


class KnowledgeDistillationParts(NamedTuple):
    """Return value of :class:`KnowledgeDistillationLoss`.

    Attributes:
        total: weighted sum of the parts.
        soft: cross-entropy with the teacher's softened probabilities, in nats.
        hard: cross-entropy with the labels, in nats.
    """

    total: Tensor
    soft: Tensor
    hard: Tensor


class KnowledgeDistillationLoss(DistillationLoss):
    """Knowledge distillation, ``alpha * L_T + (1 - alpha) * L_0`` (Hinton et al. 2015; GAN-MC, section 3).

    L_T is :func:`soft_cross_entropy`, L_0 the cross-entropy with the labels.

    Args:
        temperature: T > 0 (default: 4); 5, 20 and 6 for the three teacher-student pairs of GAN-MC's table 1.
        alpha: weight of the soft loss in [0, 1] (default: 0.9); 0.9, 0.9 and 0.95 in GAN-MC's table 1.
        scale_by_temperature_squared: whether to multiply L_T by T^2, which makes the scale of its gradient independent
            of T (default: True; Hinton et al.). GAN-MC's equation omits the factor, so its configs set ``false``.
        hard_loss_on_synthetic: whether L_0 includes synthetic samples, labeled with the class they were generated for,
            as in the authors' code (default: True).
        standardize_logits: whether L_T compares logits after :func:`standardize_logits` (default: False). The student
            then learns the relations between the teacher's logits and not their scale. ``temperature`` is the base
            temperature, 2 in the code of Sun et al.

    Raises:
        ConfigurationError: ``temperature`` is not positive or ``alpha`` is not in [0, 1]; in ``forward``, the logits
            are standardized and of fewer than three classes.

    Example:
        >>> import torch
        >>> loss = KnowledgeDistillationLoss(temperature=1.0, alpha=0.75)
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 0.0]])
        >>> loss(student, teacher, torch.tensor([0]), torch.tensor([False]))
        KnowledgeDistillationParts(total=tensor(0.6931), soft=tensor(0.6931), hard=tensor(0.6931))
    """

    takes_weights: ClassVar[bool] = True

    def __init__(
        self,
        temperature: float = 4.0,
        alpha: float = 0.9,
        scale_by_temperature_squared: bool = True,
        hard_loss_on_synthetic: bool = True,
        standardize_logits: bool = False,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ConfigurationError(f"temperature: got {temperature}, expected a value > 0")
        if not 0 <= alpha <= 1:
            raise ConfigurationError(f"alpha: got {alpha}, expected a value in [0, 1]")
        self.temperature = temperature
        self.alpha = alpha
        self.soft_weight = alpha * (temperature**2 if scale_by_temperature_squared else 1.0)
        self.hard_loss_on_synthetic = hard_loss_on_synthetic
        self.standardize_logits = standardize_logits

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        synthetic: Tensor,
        weights: Tensor | None = None,
    ) -> KnowledgeDistillationParts:
        """Return the weighted sum of soft and hard cross-entropy, and both terms."""
        if not self.hard_loss_on_synthetic:
            labels = labels.masked_fill(synthetic, UNKNOWN_LABEL)
        hard = hard_cross_entropy(student_logits, labels, weights)
        if self.standardize_logits:
            if student_logits.shape[1] < 3:
                raise ConfigurationError(
                    f"standardize_logits: got {student_logits.shape[1]} classes, expected at least 3: two standardized "
                    "logits are always 1 and -1"
                )
            student_logits, teacher_logits = standardize_logits(student_logits), standardize_logits(teacher_logits)
        soft = soft_cross_entropy(student_logits, teacher_logits, self.temperature, weights)
        return KnowledgeDistillationParts(self.soft_weight * soft + (1 - self.alpha) * hard, soft, hard)
