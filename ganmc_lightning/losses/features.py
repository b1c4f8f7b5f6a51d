"""Distillation losses on intermediate features: FitNets hints and FSP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.distillation import DistillationLoss
from ganmc_lightning.losses.parts import LossParts, TotalLoss
from ganmc_lightning.losses.precision import at_least_float32

Shape = tuple[int, ...]


def hint_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """``1/2 ||u_h - r(v_g)||^2``, averaged over the batch (Romero et al. 2015, FitNets, equation 3).

    Args:
        student_features: r(v_g), regressed features of the student, float (N, ...).
        teacher_features: u_h, features of the teacher, float (N, ...).

    Returns:
        Scalar, float32 or wider.

    Example:
        >>> hint_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]))
        tensor(2.5000)
    """
    differences = at_least_float32(student_features) - at_least_float32(teacher_features)
    return 0.5 * differences.square().flatten(1).sum(dim=1).mean()


def fsp_matrix(first: Tensor, second: Tensor) -> Tensor:
    """Gram matrix between the feature maps of two layers, averaged over the pixels (Yim et al. 2017, equation 1).

    If the sizes differ, the larger maps are max-pooled to the size of the smaller ones, as in the paper.

    Args:
        first: feature maps of the earlier layer, float (N, C, H, W).
        second: feature maps of the later layer, float (N, D, h, w).

    Returns:
        Gram matrices, float (N, C, D), float32 or wider.

    Example:
        >>> fsp_matrix(torch.ones(1, 2, 4, 4), torch.full((1, 1, 2, 2), 3.0))
        tensor([[[3.],
                 [3.]]])
    """
    height, width = (min(first.shape[k], second.shape[k]) for k in (2, 3))
    pooled = (F.adaptive_max_pool2d(at_least_float32(maps), (height, width)) for maps in (first, second))
    first, second = (maps.flatten(2) for maps in pooled)
    with torch.autocast(first.device.type, enabled=False):  # autocast would compute the product in half precision
        return first @ second.transpose(1, 2) / (height * width)


def fsp_loss(student_maps: Sequence[Tensor], teacher_maps: Sequence[Tensor]) -> Tensor:
    """``sum_i ||G_i^T - G_i^S||^2``, averaged over the batch (Yim et al. 2017, equation 2, all weights 1).

    G_i is the :func:`fsp_matrix` of layers i and i + 1.

    Args:
        student_maps: feature maps of the student's layers in forward order, float (N, C_i, H, W) each.
        teacher_maps: feature maps of the teacher's layers, with the student's numbers of channels; sizes may differ.

    Returns:
        Scalar, float32 or wider.

    Example:
        >>> student, teacher = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 4, 4)
        >>> fsp_loss([student, student], [teacher, teacher])
        tensor(1.)
    """
    student, teacher = ([fsp_matrix(*pair) for pair in pairwise(maps)] for maps in (student_maps, teacher_maps))
    distances = [(ours - target).square().sum(dim=(1, 2)) for ours, target in zip(student, teacher, strict=True)]
    return torch.stack(distances).sum(dim=0).mean()


def make_regressor(student_shape: Shape, teacher_shape: Shape) -> nn.Module:
    """Return a trainable layer that maps student features to the teacher's shape; the identity for equal shapes.

    It is a linear layer for vectors. For feature maps it is a convolution without padding, with the kernel size that
    reduces the student's maps to the teacher's size (FitNets, section 2.2).

    Args:
        student_shape: shape of one sample's features, ``(F,)`` or ``(C, H, W)``.
        teacher_shape: shape of one sample's features, ``(F,)`` or ``(C, H, W)``.

    Raises:
        ConfigurationError: only one of the shapes is a vector, or the student's maps are smaller than the teacher's.

    Example:
        >>> make_regressor((8, 4, 4), (16, 3, 3))
        Conv2d(8, 16, kernel_size=(2, 2), stride=(1, 1))
    """
    if student_shape == teacher_shape:
        return nn.Identity()
    if len(student_shape) == len(teacher_shape) == 1:
        return nn.Linear(student_shape[0], teacher_shape[0])
    if len(student_shape) == len(teacher_shape) == 3:
        height, width = (student_shape[k] - teacher_shape[k] + 1 for k in (1, 2))
        if height > 0 and width > 0:
            return nn.Conv2d(student_shape[0], teacher_shape[0], (height, width))
    raise ConfigurationError(
        f"got student features of shape {student_shape} and teacher features of shape {teacher_shape}, expected two "
        "vectors, or two feature maps with the student's at least as large"
    )


def regressor_from_weight(weight: Tensor) -> nn.Module:
    """Return an untrained layer as returned by :func:`make_regressor`, with the shape of a stored weight."""
    if weight.dim() == 2:
        return nn.Linear(weight.shape[1], weight.shape[0])
    return nn.Conv2d(weight.shape[1], weight.shape[0], (weight.shape[2], weight.shape[3]))


class FeatureLoss(DistillationLoss, ABC):
    """Base class of losses on the features of layer pairs, optionally added to a loss on the logits.

    Args:
        layers: pairs of a teacher layer and a student layer, with names as in ``named_modules()``.
        weight: factor > 0 of the feature loss (default: 1).
        logits_loss: loss on the logits that is added (default: none).

    Raises:
        ConfigurationError: ``weight`` is not positive, or there are too few pairs.
    """

    fewest_pairs: ClassVar[int] = 1
    teacher_layers: tuple[str, ...]
    student_layers: tuple[str, ...]

    def __init__(
        self, layers: list[tuple[str, str]], weight: float = 1.0, logits_loss: DistillationLoss | None = None
    ) -> None:
        super().__init__()
        if weight <= 0:
            raise ConfigurationError(f"weight: got {weight}, expected a value > 0")
        if len(layers) < self.fewest_pairs:
            raise ConfigurationError(f"layers: got {len(layers)} pairs, expected {self.fewest_pairs} or more")
        self.teacher_layers = tuple(teacher for teacher, _ in layers)
        self.student_layers = tuple(student for _, student in layers)
        self.weight = weight
        self.logits_loss = logits_loss

    def forward(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, synthetic: Tensor) -> LossParts:
        """Return the loss on the logits; a total of 0 if there is none."""
        if self.logits_loss is None:
            return TotalLoss(student_logits.new_zeros(()))
        parts: LossParts = self.logits_loss(student_logits, teacher_logits, labels, synthetic)
        return parts

    @abstractmethod
    def build(self, student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape]) -> None:
        """Validate the shapes of one sample's features and create the layers that depend on them.

        Raises:
            ConfigurationError: the loss is not defined for the shapes of a pair.
        """

    @abstractmethod
    def feature_loss(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """Return the weighted feature loss, a scalar, from one tensor (N, ...) per network and pair."""

    def _named_pairs(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> list[tuple[str, Shape, Shape]]:
        names = [f"{t} -> {s}" for t, s in zip(self.teacher_layers, self.student_layers, strict=True)]
        return list(zip(names, student, teacher, strict=True))


class HintLoss(FeatureLoss):
    """FitNets hint loss: regress features of a teacher layer from features of a student layer (Romero et al. 2015).

    The paper trains in two stages: the student up to its guided layer with :func:`hint_loss`, then the whole student
    with knowledge distillation. Without ``logits_loss`` this is the first stage; the second is another run, which loads
    the student from the first run's checkpoint. With ``logits_loss`` both losses are minimized together, so that the
    number of steps equals that of other methods.

    The regressors (:func:`make_regressor`) are trained with the student and are not part of it.

    Args:
        layers: pairs of a teacher layer (hint) and a student layer (guided layer).
        weight: factor > 0 of the hint loss (default: 1).
        logits_loss: loss on the logits that is added, such as ``KnowledgeDistillationLoss`` (default: none).

    Example:
        >>> loss = HintLoss([("features.3", "features.1")], weight=2.0)
        >>> loss.build(student_shapes=[(2,)], teacher_shapes=[(2,)])
        >>> loss.feature_loss([torch.tensor([[1.0, 2.0]])], [torch.zeros(1, 2)])
        tensor(5.)
    """

    def __init__(
        self, layers: list[tuple[str, str]], weight: float = 1.0, logits_loss: DistillationLoss | None = None
    ) -> None:
        super().__init__(layers, weight, logits_loss)
        self.regressors = nn.ModuleList(nn.Identity() for _ in layers)

    def build(self, student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape]) -> None:
        """Create a regressor for each pair with different shapes."""
        for k, (names, student, teacher) in enumerate(self._named_pairs(student_shapes, teacher_shapes)):
            if isinstance(self.regressors[k], nn.Identity):
                try:
                    self.regressors[k] = make_regressor(student, teacher)
                except ConfigurationError as error:
                    raise ConfigurationError(f"model.loss.layers, {names}: {error}") from None

    def build_from_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Create the regressors that have weights in a state dictionary of this module."""
        for k, regressor in enumerate(self.regressors):
            weight = state.get(f"regressors.{k}.weight")
            if weight is not None and isinstance(regressor, nn.Identity):
                self.regressors[k] = regressor_from_weight(weight)

    def feature_loss(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum of :func:`hint_loss` over the pairs."""
        triples = zip(self.regressors, student_features, teacher_features, strict=True)
        losses = [hint_loss(regressor(student), teacher) for regressor, student, teacher in triples]
        return self.weight * torch.stack(losses).sum()


class FSPLoss(FeatureLoss):
    """Flow of the solution procedure: match Gram matrices between consecutive layers (Yim et al. 2017).

    The layers of a pair must have equal numbers of channels; sizes may differ. The paper trains in two stages: first
    :func:`fsp_loss`, then the task. With ``logits_loss`` both losses are minimized together, as in :class:`HintLoss`.

    Args:
        layers: two or more pairs of a teacher layer and a student layer, in forward order.
        weight: factor > 0 of the FSP loss (default: 1).
        logits_loss: loss on the logits that is added, such as ``KnowledgeDistillationLoss`` (default: none).

    Example:
        >>> loss = FSPLoss([("layer1", "conv1"), ("layer2", "conv2")], weight=0.5)
        >>> student, teacher = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 4, 4)
        >>> loss.feature_loss([student, student], [teacher, teacher])
        tensor(0.5000)
    """

    fewest_pairs: ClassVar[int] = 2

    def build(self, student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape]) -> None:
        """Validate that the layers of each pair return feature maps with equal numbers of channels."""
        for names, student, teacher in self._named_pairs(student_shapes, teacher_shapes):
            if len(student) != 3 or len(teacher) != 3 or student[0] != teacher[0]:
                raise ConfigurationError(
                    f"model.loss.layers, {names}: got features {teacher} -> {student}, expected feature maps (C, H, W) "
                    "with equal numbers of channels"
                )

    def feature_loss(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """Return the weighted :func:`fsp_loss`."""
        return self.weight * fsp_loss(student_features, teacher_features)
