"""What a student is asked to match: logits (Ba & Caruana 2014) or softened probabilities (Hinton 2015)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.precision import at_least_float32


def l2_logits_loss(student_logits: Tensor, teacher_logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared distance of the logits, ``||g(x) - z||^2`` (GAN-MC, equation 1), averaged over the batch.

    The authors' code halves it, which Adam does not notice.

    Args:
        student_logits: g(x), float (N, K).
        teacher_logits: z, float (N, K).
        weights: of the samples, float (N,); None where all count alike.

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
    """Cross-entropy between ``softmax(z / T)`` and ``softmax(g / T)`` (GAN-MC section 2.1, L_T).

    Args:
        student_logits: g, float (N, K).
        teacher_logits: z, float (N, K).
        temperature: T > 0.
        weights: of the samples, float (N,); None where all count alike.

    Returns:
        Scalar, averaged over the batch, in nats, float32 or wider.
    """
    student_logits, teacher_logits = at_least_float32(student_logits), at_least_float32(teacher_logits)
    targets = F.softmax(teacher_logits / temperature, dim=1)
    if weights is not None:
        return (F.cross_entropy(student_logits / temperature, targets, reduction="none") * weights).mean()
    return F.cross_entropy(student_logits / temperature, targets)


class DistillationLoss(nn.Module, ABC):
    """What a :class:`~ganmc_lightning.modules.DistillationModule` minimises.

    Attributes:
        takes_weights: whether :meth:`forward` has a fifth argument, the weights of the samples; data with weights are
            refused otherwise.
    """

    takes_weights: ClassVar[bool] = False

    @abstractmethod
    def forward(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, synthetic: Tensor) -> Tensor:
        """Return the scalar loss of a batch.

        Args:
            student_logits: float (N, K), with gradients.
            teacher_logits: float (N, K).
            labels: int64 (N,).
            synthetic: bool (N,).
        """


class L2LogitsLoss(DistillationLoss):
    """Regression on the teacher's logits, equation (1) of GAN-MC; labels are not used."""

    takes_weights: ClassVar[bool] = True

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        synthetic: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return :func:`l2_logits_loss`."""
        return l2_logits_loss(student_logits, teacher_logits, weights)


class KnowledgeDistillationLoss(DistillationLoss):
    """``alpha * L_T + (1 - alpha) * L_0`` (Hinton et al. 2015; GAN-MC section 3).

    L_T is :func:`soft_cross_entropy`, L_0 the cross-entropy with the label.

    Args:
        temperature: T; 5, 20 and 6 for the three pairs of GAN-MC's Table 1.
        alpha: weight of the soft part; 0.9, 0.9 and 0.95 there.
        scale_by_temperature_squared: multiply L_T by T^2, so that its gradient keeps its size when T
            changes (Hinton's text). GAN-MC writes the loss without it: its configs say ``false``.
        synthetic_labels: ``"intended"`` lets L_0 of a synthetic sample use the class it was generated
            for, as the authors do; ``"ignored"`` leaves synthetic samples out of L_0.

    Raises:
        ConfigurationError: ``temperature`` is not positive or ``alpha`` lies outside [0, 1].
    """

    takes_weights: ClassVar[bool] = True

    def __init__(
        self,
        temperature: float = 4.0,
        alpha: float = 0.9,
        scale_by_temperature_squared: bool = True,
        synthetic_labels: Literal["intended", "ignored"] = "intended",
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ConfigurationError(f"temperature must be positive, got {temperature}")
        if not 0 <= alpha <= 1:
            raise ConfigurationError(f"alpha must lie in [0, 1], got {alpha}")
        self.temperature = temperature
        self.alpha = alpha
        self.soft_weight = alpha * (temperature**2 if scale_by_temperature_squared else 1.0)
        self.synthetic_labels = synthetic_labels

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        synthetic: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the weighted sum of the soft and the hard cross-entropy."""
        if self.synthetic_labels == "ignored":
            labels = labels.masked_fill(synthetic, UNKNOWN_LABEL)
        soft = soft_cross_entropy(student_logits, teacher_logits, self.temperature, weights)
        hard = hard_cross_entropy(student_logits, labels, weights)
        return self.soft_weight * soft + (1 - self.alpha) * hard
