"""Decoupled knowledge distillation (Zhao et al. 2022)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.distillation import DistillationLoss
from ganmc_lightning.losses.precision import at_least_float32


def decoupled_divergences(
    student_logits: Tensor, teacher_logits: Tensor, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Both parts of ``KL(p^T || p^S) = TCKD + (1 - p_t^T) * NCKD`` (Zhao et al. 2022, equation 6).

    TCKD is the divergence between the probabilities of target and not target, NCKD the divergence between the
    distributions over the other classes.

    Args:
        student_logits: float (N, K), K of 2 or more.
        teacher_logits: float (N, K).
        targets: target classes, int64 (N,) in [0, K).
        temperature: T > 0 of both softmax functions.

    Returns:
        TCKD (N,) and NCKD (N,) in nats, 0 or more, float32 or wider.

    Example:
        >>> student, teacher = torch.zeros(1, 3), torch.tensor([[2.0, 1.0, 0.0]])
        >>> decoupled_divergences(student, teacher, torch.tensor([0]), temperature=1.0)
        (tensor([0.2291]), tensor([0.1109]))
    """
    student, student_others = _split(at_least_float32(student_logits) / temperature, targets)
    teacher, teacher_others = _split(at_least_float32(teacher_logits) / temperature, targets)
    target_class = teacher.sigmoid() * (F.logsigmoid(teacher) - F.logsigmoid(student))
    target_class = target_class + (-teacher).sigmoid() * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
    return target_class, F.kl_div(student_others, teacher_others, reduction="none", log_target=True).sum(dim=1)


def _split(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-odds (N,) of the target class and the log-probabilities (N, K - 1) among the other classes."""
    targets = targets.unsqueeze(1)
    others = torch.arange(logits.shape[1] - 1, device=logits.device)
    # Columns are removed, not masked by -inf, because the divergence of masked columns is inf - inf.
    remaining = logits.gather(1, others + (others >= targets))
    normalizer = remaining.logsumexp(dim=1, keepdim=True)
    return (logits.gather(1, targets) - normalizer).squeeze(1), remaining - normalizer


class DecoupledDistillationParts(NamedTuple):
    """Return value of :class:`DecoupledKnowledgeDistillationLoss`.

    Attributes:
        total: weighted sum of the parts.
        target_class: TCKD, in nats.
        other_classes: NCKD, in nats.
        hard: cross-entropy with the labels, in nats.
    """

    total: Tensor
    target_class: Tensor
    other_classes: Tensor
    hard: Tensor


class DecoupledKnowledgeDistillationLoss(DistillationLoss):
    """Decoupled knowledge distillation, ``L_0 + T^2 (alpha * TCKD + beta * NCKD)`` (Zhao et al. 2022, equation 7).

    TCKD and NCKD are :func:`decoupled_divergences`, L_0 is the cross-entropy with the labels. In ordinary knowledge
    distillation the weight of NCKD is ``1 - p_t``: where the teacher is confident, its ranking of the other classes
    has almost no effect. Here ``beta`` replaces this weight.

    The target class is the label. It is the class with the teacher's largest logit for a sample with unknown label, and
    for synthetic samples if ``hard_loss_on_synthetic`` is false. The linear warm-up of the authors' code is not part of
    the loss.

    Args:
        alpha: weight >= 0 of TCKD (default: 1, as in the paper).
        beta: weight >= 0 of NCKD (default: 8). The authors use 2 to 8 on CIFAR-100, depending on the pair of networks,
            and 0.5 on ImageNet; a less confident teacher requires a smaller value.
        temperature: T > 0 (default: 4, as on CIFAR-100; 1 on ImageNet).
        hard_weight: weight >= 0 of L_0 (default: 1, as in the paper).
        hard_loss_on_synthetic: whether the labels of synthetic samples are used (default: True).

    Raises:
        ConfigurationError: ``temperature`` is not positive or a weight is negative.

    Example:
        >>> loss = DecoupledKnowledgeDistillationLoss(temperature=1.0)
        >>> student, teacher = torch.zeros(1, 3), torch.tensor([[2.0, 1.0, 0.0]])
        >>> loss(student, teacher, torch.tensor([0]), torch.tensor([False])).total
        tensor(2.2152)
    """

    takes_weights: ClassVar[bool] = True

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 8.0,
        temperature: float = 4.0,
        hard_weight: float = 1.0,
        hard_loss_on_synthetic: bool = True,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ConfigurationError(f"temperature: got {temperature}, expected a value > 0")
        for name, weight in (("alpha", alpha), ("beta", beta), ("hard_weight", hard_weight)):
            if weight < 0:
                raise ConfigurationError(f"{name}: got {weight}, expected a value >= 0")
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.hard_loss_on_synthetic = hard_loss_on_synthetic

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        synthetic: Tensor,
        weights: Tensor | None = None,
    ) -> DecoupledDistillationParts:
        """Return the weighted sum of TCKD, NCKD and hard cross-entropy, and the three terms."""
        if not self.hard_loss_on_synthetic:
            labels = labels.masked_fill(synthetic, UNKNOWN_LABEL)
        targets = torch.where(labels == UNKNOWN_LABEL, teacher_logits.argmax(dim=1), labels)
        divergences = decoupled_divergences(student_logits, teacher_logits, targets, self.temperature)
        target_class, other_classes = (
            losses.mean() if weights is None else (losses * weights).mean() for losses in divergences
        )
        hard = hard_cross_entropy(student_logits, labels, weights)
        soft = self.temperature**2 * (self.alpha * target_class + self.beta * other_classes)
        return DecoupledDistillationParts(soft + self.hard_weight * hard, target_class, other_classes, hard)
